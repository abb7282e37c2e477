"""What is unusual about a draft, in words."""

from collections.abc import Iterator
from typing import Final

from services.metering.validation_rules import LOW_USE_FACTOR
from services.quantities.counting import count
from services.quantities.energy import format_kwh
from services.quantities.money import Money
from services.records.drafts import Draft, PastUse

USUAL_DAYS: Final = range(25, 36)


# With fewer bills than these nobody knows how much a meter's use varies.
LEAST_PAST: Final = 4


def signs_of(draft: Draft) -> list[str]:
    """What is unusual about a draft, each in a sentence; nothing of a usual one.

    The database filters by the same rules (private.is_outlier).
    """
    return [*_signs_of_use(draft), *_signs_of_bill(draft)]


def highest_usual_wh(past: PastUse) -> int:
    """Wh a day above which a use is unusual: of the median, and of how much uses vary."""
    if past.bills < LEAST_PAST:
        return 3 * past.median_wh
    # So half as much again is usual at least, also where the use hardly varied so far.
    return past.median_wh + 3 * max(past.upper_wh - past.lower_wh, past.median_wh // 6)


def _signs_of_use(draft: Draft) -> Iterator[str]:
    past, used, days = draft.past_use, draft.consumption_wh, draft.days
    use = _a_day(used // days)
    median = f"{_a_day(past.median_wh)}, the median of its last {count(past.bills, 'bill')}"
    if past.bills == 0:
        yield "The first bill of this meter."
    elif used > highest_usual_wh(past) * days:
        yield f"High use: {use} against {median}."
    elif 0 < used * LOW_USE_FACTOR < past.median_wh * days:
        yield f"Low use: {use} against {median}."
    if used == 0:
        yield "No use at all." if past.bills == 0 else f"No use at all, against {median}."


def _signs_of_bill(draft: Draft) -> Iterator[str]:
    if draft.held_because:
        yield draft.held_because
    elif draft.days not in USUAL_DAYS:
        usual = f"{USUAL_DAYS.start} to {USUAL_DAYS.stop - 1}"
        yield f"The period has {count(draft.days, 'day')}: {usual} are usual."
    if draft.total_minor <= 0:
        yield f"The total is {Money(draft.total_minor, draft.currency).display()}."
    if draft.estimated:
        yield "It rests on an estimated read."
    if draft.tariff_changes:
        yield "The tariff changes within its period."
    if draft.opinion_differs:
        yield "AI's second opinion comes to other amounts."


def _a_day(wh: int) -> str:
    # Tenths of a kWh, rounded half up: whole Wh a day say nothing to people.
    return f"{format_kwh((wh + 50) // 100 * 100)} kWh a day"
