"""Load files: what is read, and what is said about a file that cannot be used."""

from datetime import UTC, datetime, timedelta

import pytest

from services.importing.load_file import Load, read_load
from services.importing.source import UnreadableFile

JANUARY = 31 * 24


def hourly(count: int, kwh: str = "1") -> str:
    return "kwh\n" + f"{kwh}\n" * count


def timed(
    count: int, *, minutes: int = 60, start: str = "2018-01-01T00:00", offset: str = ""
) -> list[str]:
    """The rows of a file with timestamps, the header first."""
    step, first = timedelta(minutes=minutes), datetime.fromisoformat(start)
    return [
        "timestamp,kwh",
        *(f"{first + i * step:%Y-%m-%dT%H:%M}{offset},1" for i in range(count)),
    ]


def refused(text: str, year: int | None = None) -> str:
    with pytest.raises(UnreadableFile) as refusal:
        read_load(text, year=year)
    return str(refusal.value.problem)


def test_a_column_of_kwh_is_a_year_of_hours() -> None:
    load = read_load(hourly(8760, "0.123"))
    assert load == Load(datetime(2018, 1, 1, tzinfo=UTC), 60, (123,) * 8760)
    assert read_load(hourly(8784), year=2024).start.year == 2024


@pytest.mark.parametrize("minutes", [60, 30, 15])
@pytest.mark.parametrize("offset", ["", "Z", "+05:30"])
def test_timestamps_say_how_long_an_interval_is(minutes: int, offset: str) -> None:
    rows = timed(JANUARY * 60 // minutes, minutes=minutes, offset=offset)
    load = read_load("\n".join(rows))
    assert (load.start, load.minutes) == (datetime(2018, 1, 1, tzinfo=UTC), minutes)
    assert sum(load.wh) == JANUARY * 60 // minutes * 1000


def test_a_load_with_timestamps_may_be_some_months() -> None:
    load = read_load("\n".join(timed(28 * 24, start="2019-02-01T00:00")))
    assert load.start == datetime(2019, 2, 1, tzinfo=UTC)


def test_decimals_beyond_wh_are_kept_in_the_running_total() -> None:
    load = read_load(hourly(8760, "0.0003333"))
    assert sum(load.wh) == 2920  # 2.919708 kWh
    assert set(load.wh) == {0, 1}
    assert sum(read_load(hourly(8760, "1.17634571e-3")).wh) == 10305  # 10.3047884 kWh


@pytest.mark.parametrize(
    ("text", "year", "said"),
    [
        ("", None, "The file is empty."),
        ("kw\n1\n", None, "The header lacks the column kwh."),
        ("1.5\n2.5\n", None, "The header lacks the column kwh."),
        (hourly(8759), None, "2018 has 8,760 hours, and the file has 8,759 values."),
        (hourly(8760), 2020, "2020 has 8,784 hours, and the file has 8,760 values."),
        (hourly(8784), None, "2018 has 8,760 hours, and the file has 8,784 values."),
        (hourly(5) + "x\n", None, "row 7: kwh must be a number such as 1.25, not 'x'."),
        (hourly(1, "nan"), None, "row 2: kwh must be a number"),
        (hourly(1, "1,5"), None, "row 2: has 2 cells where the header names 1"),
        (
            "timestamp,kwh\n2018-01-01,\n",
            None,
            "row 2: kwh must be a number such as 1.25, and here",
        ),
        (hourly(5) + "-0.1\n", None, "row 7: kwh cannot be negative (-0.1)."),
        (hourly(1, "1e12"), None, "row 2: kwh is larger than any load"),
        ("timestamp,kwh\n1/1/2018,1\n", None, "row 2: timestamp must be written as 2018-01-31T23"),
        ("\n".join(timed(1)), None, "must be 60, 30 or 15 minutes apart"),
        ("\n".join(timed(48, minutes=20)), None, "must be 60, 30 or 15 minutes apart"),
        ("\n".join(timed(JANUARY)), 2019, "The load begins in 2018, not in 2019."),
        ("\n".join(timed(24, start="2018-01-02T00:00")), None, "begins on 2018-01-02 00:00"),
        ("\n".join(timed(JANUARY - 1)), None, "ends on 2018-01-31 23:00: it must go on"),
        ("\n".join(timed(JANUARY, start="1066-01-01T00:00")), None, "begins in 1066"),
    ],
)
def test_a_wrong_file_says_where_and_what(text: str, year: int | None, said: str) -> None:
    assert said in refused(text, year)


def test_a_gap_a_repeat_and_a_change_of_clocks_are_named() -> None:
    rows = timed(JANUARY)
    assert "row 11: the value of 2018-01-01 09:00 is missing." in refused(
        "\n".join(rows[:10] + rows[11:])
    )
    assert "row 11: 2018-01-01 08:00 stands twice or late." in refused(
        "\n".join([*rows[:10], rows[9], *rows[10:]])
    )
    winter, summer = timed(JANUARY, offset="+01:00"), timed(JANUARY, offset="+02:00")
    assert "row 11: the offset from UTC changes to +0200." in refused(
        "\n".join(winter[:10] + summer[10:])
    )
