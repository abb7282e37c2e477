"""Readings that nobody has reviewed do not freeze the history of a meter."""

from datetime import date, timedelta

import pytest

from services.metering.outcomes import Validation
from services.metering.unreviewed import with_confirmed
from services.metering.validation import validate_reading
from services.records.readings import ReadPoint

START = date(2025, 1, 1)


def point(kwh: int, day: int) -> ReadPoint:
    return ReadPoint(register_wh=1000 * kwh, read_on=START + timedelta(days=day))


# 10 kWh a day for a year.
SETTLED = tuple(point(300 * n, 30 * n) for n in range(13))


def judged(
    read: ReadPoint, *waiting: ReadPoint, past: tuple[ReadPoint, ...] = SETTLED
) -> Validation:
    return validate_reading(
        register_wh=read.register_wh,
        read_on=read.read_on,
        last_read=past[-1],
        history=past,
        waiting=waiting,
        dials=5,
        multiplier_milli=1000,
    )


def test_a_new_level_is_accepted_when_a_second_reading_shows_it() -> None:
    first = point(3600 + 900, 390)
    assert judged(first).verdict == "needs_review"
    second = judged(point(3600 + 1800, 420), first)
    assert second.verdict == "accepted"
    (high,) = (one for one in second.outcomes if one.rule == "high_use")
    assert high.outcome == "warn"
    assert "The reading of 26 Jan 2026, which waits for review, shows the same use." in high.message


def test_far_above_all_that_is_expected_three_readings_must_agree() -> None:
    first, second, third = (point(3600 + 3000 * n, 360 + 30 * n) for n in (1, 2, 3))
    assert judged(first).verdict == "needs_review"
    assert judged(second, first).verdict == "needs_review"
    assert judged(third, first, second).verdict == "accepted"


def test_a_reading_that_does_not_agree_confirms_nothing() -> None:
    assert judged(point(3600 + 3000, 420), point(3600 + 900, 390)).verdict == "needs_review"


@pytest.mark.parametrize("waiting", [point(3000, 390), point(3600, 390)], ids=["fall", "stuck"])
def test_a_fall_or_a_stuck_meter_confirms_nothing(waiting: ReadPoint) -> None:
    assert judged(point(3600 + 1800, 420), waiting).verdict == "needs_review"


def test_a_meter_that_stands_still_unreviewed_is_asked_about_less_and_less() -> None:
    waiting: list[ReadPoint] = []
    asked = []
    for month in range(1, 7):
        read = point(3600, 360 + 30 * month)
        if judged(read, *waiting).verdict == "needs_review":
            asked.append(month)
            waiting.append(read)
    # After the first period, then after each two periods more, until it is known to be unused.
    assert asked == [1, 2, 4, 6]
    # Lived in again, its use is of the days since it was last seen still.
    back = judged(point(3600 + 300, 570), *waiting)
    assert back.verdict == "accepted"
    assert any("300 kWh in 30 days" in one.message for one in back.outcomes)


def test_what_is_below_the_last_read_is_never_accepted_by_itself() -> None:
    assert judged(point(3400, 420), point(3200, 390)).verdict == "needs_review"


def test_a_reading_between_two_accepted_ones_is_part_of_the_past() -> None:
    history = [point(0, 0), point(1200, 60)]
    assert with_confirmed(history, [point(600, 30)], 5) == [history[0], point(600, 30), history[1]]
    for wrong in (point(6000, 30), point(10, 30), point(0, 30)):
        assert with_confirmed(history, [wrong], 5) == history
