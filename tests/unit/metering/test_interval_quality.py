"""A bill says how many of the intervals that it rests on were not simply measured."""

from datetime import date

import pytest

from services.metering.interval_quality import IntervalQuality, interval_quality_of
from services.quantities.quality import Quality
from services.records.readings import IntervalDay

DAY = date(2026, 6, 1)


def day(*quality: int, minutes: int = 30) -> IntervalDay:
    wh = (100,) * (24 * 60 // minutes)
    return IntervalDay(day=DAY, minutes=minutes, wh=wh, quality=quality)


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        ([day(0), day(8, *[0] * 47)], "1 of 96 half hours is estimated."),
        ([day(8), day(9)], "96 of 96 half hours are estimated."),
        (
            [day(*[8] * 4, *[7] * 2, *[0] * 42)],
            "4 of 48 half hours are estimated, 2 edited by hand.",
        ),
        ([day(7, minutes=60)], "24 of 24 hours are edited by hand."),
        ([day(), day(*[10] * 96, minutes=15)], "96 of 144 quarter hours are questionable."),
    ],
)
def test_the_sentence_counts_what_is_unsure(days: list[IntervalDay], sentence: str) -> None:
    found = IntervalQuality.of_days(
        [one.model_copy(update={"minutes": days[-1].minutes}) for one in days]
    )
    assert found is not None
    assert found.sentence == sentence
    assert interval_quality_of({"interval_quality": found.to_json()}) == found


def test_measured_intervals_are_worth_no_word() -> None:
    assert IntervalQuality.of_days([day(0), day(), day(14), day(17)]) is None
    assert interval_quality_of({"wh": 1}) is None
    assert interval_quality_of(None) is None


def test_what_is_estimated_and_what_is_not_add_up() -> None:
    found = IntervalQuality.of_days([day(*[8] * 3, *[13] * 2, *[16] * 4, *[0] * 39)])
    assert found is not None
    assert (found.estimated, found.other, found.unsure[Quality.OTHER]) == (5, 4, 4)


def test_a_code_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a valid Quality"):
        IntervalQuality.of_days([day(0), day(5)])
