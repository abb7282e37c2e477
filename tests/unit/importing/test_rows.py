"""Days in files, by the days that are none and those that nobody means."""

from datetime import date

import pytest

from services.importing.rows import parse_day


def test_a_day_of_the_calendar_is_one() -> None:
    assert parse_day("2024-02-29") == date(2024, 2, 29)
    assert parse_day("1900-01-01") == date(1900, 1, 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-02-29", "not a day of the calendar"),
        ("26-02-28", "written as 2026-03-01"),
        # East of Greenwich it begins before the first instant that can be said.
        ("0001-01-01", "too long ago"),
        ("1899-12-31", "too long ago"),
    ],
)
def test_a_day_that_nobody_means_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_day(text)
