"""A file's dates: the file shows which of day and month comes first, or a person says it."""

import pytest

from services.importing.dates import AmbiguousDate, DateOrder, DateStyle
from services.importing.source import UnreadableFile
from services.importing.table import read_table


def dates_of(
    *cells: str, date_order: DateOrder | None = None
) -> tuple[list[str], list[str], set[str]]:
    """What a file with these dates is read as, what is said of them, and what is asked."""
    text = "name;day\n" + "".join(f"x;{cell}\n" for cell in cells)
    table = read_table(text, required=("name", "day"), dates=("day",), date_order=date_order)
    read = [row.values["day"] for row in table.rows()]
    return read, [str(p) for p in table.problems], set(table.asks)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-03-01", "2026-03-01"),
        ("2026/3/1", "2026-03-01"),
        ("1.3.2026", "2026-03-01"),
        ("31/12/2026", "2026-12-31"),
        ("12/31/2026", "2026-12-31"),
        ("02/02/2026", "2026-02-02"),
        ("1-Mar-2026", "2026-03-01"),
        ("1 March 2026", "2026-03-01"),
        ("31/12/2026 09:30", "2026-12-31T09:30"),
        ("12/31/2026 9:30 PM", "2026-12-31T21:30:00"),
        ("2026-03-01T10:30:00+05:30", "2026-03-01T10:30:00+05:30"),
        ("2026-03-01 10:30:00Z", "2026-03-01T10:30:00Z"),
        ("31/02/2026", "31/02/2026"),
        ("1 Brumaire 2026", "1 Brumaire 2026"),
        ("31/12/26", "31/12/26"),
        ("", ""),
        ("yes", "yes"),
    ],
)
def test_a_clear_date_is_read_and_what_is_none_is_left(written: str, read: str) -> None:
    assert dates_of(written) == ([read], [], set())


def test_a_date_that_may_be_two_is_asked_about() -> None:
    read, problems, asks = dates_of("03/04/2026", "2026-01-05")
    assert read == ["2026-01-05"]
    assert problems[0].startswith("row 2, day: 03/04/2026 may be 2026-04-03 or 2026-03-04")
    assert asks == {"dates"}


@pytest.mark.parametrize(
    ("order", "read"), [("day_first", "2026-04-03"), ("month_first", "2026-03-04")]
)
def test_a_person_can_say_it(order: DateOrder, read: str) -> None:
    assert dates_of("03/04/2026", date_order=order) == ([read], [], set())


def test_one_clear_date_tells_for_the_file() -> None:
    assert dates_of("03/04/2026", "13/04/2026")[0] == ["2026-04-03", "2026-04-13"]
    assert dates_of("03/04/2026", "04/13/2026")[0] == ["2026-03-04", "2026-04-13"]


def test_a_file_that_writes_both_ways_is_refused_as_a_whole() -> None:
    with pytest.raises(UnreadableFile, match=r"day first \(13/04/2026\), others the month"):
        dates_of("13/04/2026", "04/13/2026")


def test_a_style_alone_refuses_what_is_not_clear() -> None:
    with pytest.raises(AmbiguousDate):
        DateStyle().plain("03/04/2026")
