"""What is unusual about a draft, in words."""

from collections.abc import Iterator
from typing import Final

from services.languages.sentence import nsentence, sentence
from services.metering.validation_rules import LOW_USE_FACTOR
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
    median = nsentence(
        "{use}, the median of its last {count} bill",
        "{use}, the median of its last {count} bills",
        past.bills,
        use=_a_day(past.median_wh),
    )
    if past.bills == 0:
        yield sentence("The first bill of this meter.")
    elif used > highest_usual_wh(past) * days:
        yield sentence("High use: {use} against {median}.", use=use, median=median)
    elif 0 < used * LOW_USE_FACTOR < past.median_wh * days:
        yield sentence("Low use: {use} against {median}.", use=use, median=median)
    if used == 0 and past.bills == 0:
        yield sentence("No use at all.")
    elif used == 0:
        yield sentence("No use at all, against {median}.", median=median)


def _signs_of_bill(draft: Draft) -> Iterator[str]:
    if draft.held_because:
        yield draft.held_because
    elif draft.days not in USUAL_DAYS:
        yield nsentence(
            "The period has {count} day: {least} to {most} are usual.",
            "The period has {count} days: {least} to {most} are usual.",
            draft.days,
            least=USUAL_DAYS.start,
            most=USUAL_DAYS.stop - 1,
        )
    if draft.total_minor <= 0:
        total = Money(draft.total_minor, draft.currency)
        yield sentence("The total is {total}.", total=total)
    if draft.estimated:
        yield sentence("It rests on an estimated read.")
    if draft.tariff_changes:
        yield sentence("The tariff changes within its period.")
    if draft.opinion_differs:
        yield sentence("AI's second opinion comes to other amounts.")


def _a_day(wh: int) -> str:
    # Tenths of a kWh, rounded half up: whole Wh a day say nothing to people.
    tenths = format_kwh((wh + 50) // 100 * 100)
    return sentence("{number} kWh a day", number=tenths)
