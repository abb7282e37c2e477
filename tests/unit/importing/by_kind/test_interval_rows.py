"""Interval series from files: whole days come through, and what is not one is named by its row."""

import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.importing.by_kind.interval_rows import (
    INTERVAL_COLUMNS,
    INTERVAL_OPTIONS,
    IntervalFile,
)
from services.importing.table import read_table

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 12, 1, tzinfo=UTC)


def read(*lines: str, header: str = "meter_serial,start,kwh") -> tuple[list[Any], list[str]]:
    table = read_table(
        "\n".join((header, *lines)), required=INTERVAL_COLUMNS, optional=INTERVAL_OPTIONS
    )
    file = IntervalFile(zone=ZONE, now=NOW, problems=table.problems)
    for cells in table.rows():
        file.add(cells)
    rows = list(file.days())
    return rows, [str(problem) for problem in table.problems]


def day(date: str, minutes: int, *, hours: int = 24, local: bool = True) -> Iterator[str]:
    start = datetime.fromisoformat(date).replace(tzinfo=ZONE).astimezone(UTC)
    for n in range(hours * 60 // minutes):
        at = (start + n * timedelta(minutes=minutes)).astimezone(ZONE)
        text = at.replace(tzinfo=None).isoformat() if local else at.isoformat()
        yield f"M1,{text},{n}.5"


@pytest.mark.parametrize("minutes", [15, 30, 60])
def test_a_day_comes_together_whatever_the_order_of_its_rows(minutes: int) -> None:
    rows, problems = read(*reversed(list(day("2026-05-01", minutes))))
    assert problems == []
    (row,) = rows
    assert (row["meter_serial"], row["day"], row["minutes"]) == ("M1", "2026-05-01", minutes)
    assert row["wh"] == [n * 1000 + 500 for n in range(24 * 60 // minutes)]


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(("date", "hours"), [("2026-11-01", 25), ("2026-03-08", 23)])
def test_a_day_on_which_clocks_change_has_an_hour_more_or_less(
    date: str, hours: int, local: bool
) -> None:
    rows, problems = read(*day(date, 60, hours=hours, local=local))
    assert problems == []
    assert rows[0]["wh"] == [n * 1000 + 500 for n in range(hours)]


def test_meters_and_days_are_kept_apart() -> None:
    first, second = list(day("2026-05-01", 60)), list(day("2026-05-02", 60))
    rows, problems = read(*first, *second, *(line.replace("M1", "M2") for line in first))
    assert problems == []
    assert [(r["meter_serial"], r["day"][-1]) for r in rows] == [
        ("M1", "1"),
        ("M1", "2"),
        ("M2", "1"),
    ]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["M1,2026-03-08T02:30,1"], "row 2, start: 2026-03-08 02:30:00 does not exist"),
        (["M1,2026-05-01T00:07,1"], "is not on a whole quarter of an hour"),
        (["M1,2026-05-01T00:00,-1"], "row 2, kwh: The energy cannot be negative."),
        (["M1,2026-05-01T00:00,1000000000"], "larger than any meter measures"),
        (["M1,2026-12-01T00:00,1"], "is in the future"),
        (["M1,noon,1"], "must be a date and time such as"),
        ([",2026-05-01T00:00,1"], "row 2, meter_serial: is empty"),
        (["M1,2026-05-01T00:00,1"], "meter M1 has only this row"),
        (["M1,2026-05-01T00:00,1", "M1,2026-05-01T00:45,1"], "are 45 minutes apart"),
    ],
)
def test_a_row_that_is_no_interval_is_named(lines: list[str], why: str) -> None:
    rows, problems = read(*lines)
    assert rows == []
    assert len(problems) == 1
    assert why in problems[0]


def test_a_gap_and_a_double_row_are_named() -> None:
    whole = list(day("2026-05-01", 60))
    assert read(*whole[:5], *whole[6:]) == (
        [],
        ["row 7, start: the interval of 1 May 2026, 05:00 is missing."],
    )
    assert read(*whole[1:])[1] == ["row 2, start: the interval of 1 May 2026, 00:00 is missing."]
    assert read(*whole[:-1])[1] == [
        "row 24, start: the day ends after this row: 1 May 2026, 23:00 is missing."
    ]
    assert read(*whole, whole[3])[1] == [
        "row 26, start: the same interval stands in another row already: keep one of the two."
    ]
    assert (
        "is not 60 minutes after"
        in read(
            *(f"{line},60" for line in [*whole[:5], "M1,2026-05-01T04:30,1", *whole[5:]]),
            header="meter_serial,start,kwh,minutes",
        )[1][-1]
    )


def test_the_length_may_be_said() -> None:
    header = "meter_serial,start,kwh,minutes"
    lines = [f"{line},60" for line in day("2026-05-01", 60)]
    assert read(*lines, header=header)[0][0]["minutes"] == 60
    assert read(lines[0][:-2] + "45", header=header)[1][0] == (
        "row 2, minutes: must be 15, 30 or 60, not '45'."
    )
    assert read(lines[0], lines[1][:-2] + "30", header=header)[1][0] == (
        "row 3, minutes: is another length than in earlier rows of meter M1."
    )


def test_an_hour_that_comes_twice_and_stands_there_once_is_a_gap() -> None:
    lines = list(day("2026-11-01", 60, hours=25))
    del lines[2]
    (problem,) = read(*lines)[1]
    assert "1 Nov 2026, 01:00 is missing" in problem


def test_every_row_of_a_serial_that_cannot_be_is_named() -> None:
    _, problems = read("1.2E+10,2026-05-01T00:00,1", "1.2E+10,2026-05-01T01:00,1")
    assert [p.split(",")[0] for p in problems] == ["row 2", "row 3"]


def test_what_stands_in_many_rows_is_looked_at_in_each() -> None:
    first = list(day("2026-05-01", 60))
    _, problems = read(*first, *(line.replace("M1", "M2") for line in first[1:]))
    assert problems == [
        "row 26, start: the interval of 1 May 2026, 00:00 is missing.",
    ]
    _, problems = read(*first, "M1,2026-05-01T24:00,1", "M1,2026-05-01T23:00,1")
    assert len(problems) == 2
    assert problems[1] == (
        "row 27, start: the same interval stands in another row already: keep one of the two."
    )


def test_a_day_that_is_not_over_is_not_taken_for_a_whole_one() -> None:
    lines = [f"M1,2026-12-01T{hour:02}:00,1" for hour in range(2)]
    _, problems = read(*day("2026-11-29", 60), *lines)
    assert all("in the future" in problem for problem in problems)
    assert len(problems) == 2


def test_a_first_day_that_is_not_whole_says_what_it_lacks() -> None:
    _, problems = read(*list(day("2026-05-01", 30))[2:])
    assert problems == ["row 2, start: the interval of 1 May 2026, 00:00 is missing."]
    beside = [line.replace(":00:00", ":15:00") for line in day("2026-05-01", 60)]
    _, problems = read(*beside)
    assert problems == [
        (
            "row 2, start: begins 15 minutes beside the intervals of its day, which have 60 and "
            "begin at 1 May 2026, 00:00."
        )
    ]


def test_an_interval_takes_a_few_bytes() -> None:
    table = read_table(
        "\n".join(("meter_serial,start,kwh", *day("2026-05-01", 15, hours=24 * 90))),
        required=INTERVAL_COLUMNS,
    )
    file = IntervalFile(zone=ZONE, now=NOW, problems=table.problems)
    cells = list(table.rows())
    tracemalloc.start()
    for one in cells:
        file.add(one)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    days = sum(1 for _ in file.days())
    assert days == 90
    # Here each text is another one: what is known of texts is the most of it.
    assert kept < 400 * len(cells)
