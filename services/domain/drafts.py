"""Drafts of bills under review: what they add up to, and what is unusual about one, in words."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Final, NamedTuple

from services.domain.energy import format_kwh
from services.domain.money import Money
from services.domain.records import Record
from services.domain.validation import LOW_USE_FACTOR

USUAL_DAYS: Final = range(25, 36)
# With fewer bills than these nobody knows how much a meter's use varies.
LEAST_PAST: Final = 4


class PastUse(NamedTuple):
    """The last 12 issued bills of a meter: how many, and the quartiles of their Wh a day."""

    bills: int
    lower_wh: int
    median_wh: int
    upper_wh: int


class Draft(Record):
    """A draft as a reviewer sees it; `outlier` is the database's word that it has signs."""

    id: str
    meter_serial: str
    customer_id: str
    account_no: str
    customer_name: str
    tariff_code: str
    period_start: date
    period_end: date
    consumption_wh: int
    currency: str
    subtotal_minor: int
    tax_minor: int
    total_minor: int
    created_at: datetime
    estimated: bool
    tariff_changes: bool
    opinion_differs: bool
    held_because: str | None = None
    past_use: PastUse
    outlier: bool

    @property
    def days(self) -> int:
        """Local days of its period."""
        return (self.period_end - self.period_start).days


class Sums(Record):
    """What bills of one currency add up to, in Wh and minor units."""

    currency: str
    number: int
    consumption_wh: int
    subtotal_minor: int
    tax_minor: int
    total_minor: int
    outliers: int = 0


class IssuedSums(Sums):
    """What was issued for a month (its 1st)."""

    month: date


class Waiting(Record):
    """How many drafts there are for a month, in a tariff and a currency."""

    month: date
    tariff_code: str
    currency: str
    number: int


class DraftTotals(Record):
    """What issuing some drafts would bill; `mark` is the same only for the same drafts."""

    mark: str
    totals: tuple[Sums, ...]
    issued: tuple[IssuedSums, ...]
    waiting: tuple[Waiting, ...]

    @property
    def number(self) -> int:
        """How many drafts, of every currency."""
        return sum(sums.number for sums in self.totals)


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
    median = f"{_a_day(past.median_wh)}, the median of its last {past.bills} bills"
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
        days = "1 day" if draft.days == 1 else f"{draft.days} days"
        yield f"The period has {days}: {USUAL_DAYS.start} to {USUAL_DAYS.stop - 1} are usual."
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
