"""How long a bill may be, and at which reads a long time becomes several bills.

Slab limits and amounts per bill are made for a number of days, which a tariff may state as its
`billing_period`. Where reads were taken at the ends of the billing cycles, a long time is billed by
cycle, as the monthly job would have billed it each month.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from operator import add
from typing import Final, Protocol, Self, TypeVar

from services.languages.sentence import Sentence, nsentence
from services.metering.validation_rules import LONGEST_USUAL_PERIOD_DAYS
from services.quantities.period import Period, next_billing_day
from services.tariffs import (
    Charge,
    DemandCharge,
    EnergyCharge,
    FixedCharge,
    MinimumCharge,
    Tariff,
)

# A read so many days from the billing day is one of the cycle's end.
CYCLE_END_DAYS: Final = 3
# What one month's bill may have where the tariff does not say.
LONGEST_MONTH_DAYS: Final = 35
_USUAL_DAYS: Final = 30
_DAYS_OF_NEXT_MONTH: Final = 31


class DatedRead(Protocol):
    """A read with its local date."""

    @property
    def read_on(self) -> date:
        """Local date."""
        ...


AnyRead = TypeVar("AnyRead", bound=DatedRead)


@dataclass(frozen=True, slots=True)
class BillLength:
    """The days of a bill under a tariff: `most` is None where its length does not matter.

    `month` is the longest that is still billed as one month; with `scaled` the tariff has a rule
    for longer ones. `waits_below` is None unless a bill of fewer days may wait for the next read.
    """

    most: int | None
    month: int
    waits_below: int | None = None
    usual: int = _USUAL_DAYS
    stated: Sentence | None = None
    scaled: bool = False

    @classmethod
    def of(cls, tariff: Tariff) -> Self:
        """What a tariff states; else 62 days at most where a longer bill would be another one."""
        rule = tariff.billing_period
        if rule is None:
            most = LONGEST_USUAL_PERIOD_DAYS if _depends_on_length(tariff) else None
            return cls(most, LONGEST_MONTH_DAYS)
        return cls(
            most=rule.max_days,
            month=rule.max_days,
            waits_below=rule.min_days,
            usual=rule.usual_days or (rule.min_days + rule.max_days) // 2,
            stated=nsentence(
                "{least} to {count} day",
                "{least} to {count} days",
                rule.max_days,
                least=rule.min_days,
            ),
            scaled=rule.beyond == "scale",
        )

    def is_too_short(self, days: int, *, shortest: int) -> bool:
        """Whether a bill of so many days is left to the next read.

        It has fewer than `shortest`, or fewer than the tariff states and a month more is still
        within it.
        """
        below = self.waits_below
        waits = below is not None and days < below and days + _DAYS_OF_NEXT_MONTH <= self.month
        return days < shortest or waits


def why_held(tariffs: Sequence[Tariff], period: Period) -> str:
    """Why a bill of this length is not issued before a person has looked at it, or nothing."""
    for tariff in tariffs:
        length = BillLength.of(tariff)
        if length.most is not None and period.days > length.most and not length.scaled:
            return nsentence(
                "The bill covers {count} day; tariff {tariff} is made for {made_for}.",
                "The bill covers {count} days; tariff {tariff} is made for {made_for}.",
                period.days,
                tariff=tariff.code,
                made_for=length.stated
                or nsentence("at most {count} day", "at most {count} days", length.most),
            )
    return ""


def closing_reads(
    *,
    opening: AnyRead,
    between: Sequence[AnyRead],
    closing: AnyRead,
    length_on: Callable[[date], BillLength],
    shortest: int,
    billing_day: int,
    however_short: bool = False,
) -> list[AnyRead]:
    """The reads at which the bills from one read to another end, in order.

    `between` are the accepted reads in order of time. What is longer than a month is billed up to
    each cycle's end: the read closest to the billing day, at most 3 days from it. Where that leaves
    a bill longer than its tariff allows, it ends at whichever reads leave the fewest bills that are
    too long, and then the fewest that are far from a month. The last read ends none where it would
    be too short a bill, unless `however_short`.
    """
    between = [read for read in between if opening.read_on < read.read_on < closing.read_on]
    ends: list[AnyRead] = []
    start = opening
    for read in _cycle_ends(opening, between, closing, billing_day):
        length = length_on(start.read_on)
        if _days(start, closing) <= length.month:
            break
        if not length.is_too_short(_days(start, read), shortest=shortest):
            ends.append(read)
            start = read
    ends.append(closing)
    if between:
        ends = _with_long_ones_split(opening, ends, between, length_on, shortest)
    start = ends[-2] if len(ends) > 1 else opening
    length = length_on(start.read_on)
    too_short = length.is_too_short(_days(start, closing), shortest=shortest)
    return ends[:-1] if too_short and not however_short else ends


def _cycle_ends(
    opening: AnyRead, between: Sequence[AnyRead], closing: AnyRead, billing_day: int
) -> Iterator[AnyRead]:
    """The read of each cycle's end, where it is neither the opening nor the closing one."""
    if not between:
        return
    turn = next_billing_day(opening.read_on, billing_day)
    while turn <= closing.read_on:
        reads = [opening, *between, closing]
        near = [read for read in reads if abs((read.read_on - turn).days) <= CYCLE_END_DAYS]
        closest = min(near, key=lambda read: abs((read.read_on - turn).days), default=None)
        if closest is not None and closest is not opening and closest is not closing:
            yield closest
        turn = next_billing_day(turn, billing_day)


def _with_long_ones_split(
    opening: AnyRead,
    ends: Sequence[AnyRead],
    between: Sequence[AnyRead],
    length_on: Callable[[date], BillLength],
    shortest: int,
) -> list[AnyRead]:
    found: list[AnyRead] = []
    start = opening
    for end in ends:
        most = length_on(start.read_on).most
        if most is not None and _days(start, end) > most:
            found += _split(start, end, between, length_on, shortest)
        found.append(end)
        start = end
    return found


def _split(
    start: AnyRead,
    end: AnyRead,
    between: Sequence[AnyRead],
    length_on: Callable[[date], BillLength],
    shortest: int,
) -> tuple[AnyRead, ...]:
    """The reads between the two that make the best bills of this time: see `_cost`."""
    within = (read for read in between if start.read_on < read.read_on < end.read_on)
    # The best way to each read that a bill may end at, with the reads where its bills end.
    ways: list[tuple[_Cost, AnyRead, tuple[AnyRead, ...]]] = [((0, 0, 0, 0), start, ())]
    for read in (*within, end):
        found = [
            (_sum(cost, _cost(_days(opening, read), length)), read, (*ends, read))
            for cost, opening, ends in ways
            for length in (length_on(opening.read_on),)
            if read is end or not length.is_too_short(_days(opening, read), shortest=shortest)
        ]
        ways += [min(found, key=lambda way: way[0])] if found else []
    return ways[-1][2][:-1]


_Cost = tuple[int, int, int, int]


def _cost(days: int, length: BillLength) -> _Cost:
    """What speaks against a bill of so many days, the worst first.

    That its tariff is not made for it, that it is far from a month, how much too long it is, and
    how far from the usual days.
    """
    least = length.waits_below or _USUAL_DAYS - CYCLE_END_DAYS
    held = length.most is not None and days > length.most
    beyond = max(days - length.month, 0)
    return int(held), int(days < least or beyond > 0), beyond, abs(days - length.usual)


def _sum(one: _Cost, other: _Cost) -> _Cost:
    a, b, c, d = map(add, one, other)
    return a, b, c, d


def _days(start: DatedRead, end: DatedRead) -> int:
    return (end.read_on - start.read_on).days


def _depends_on_length(tariff: Tariff) -> bool:
    return any(map(_is_of_one_length, tariff.charges))


def _is_of_one_length(charge: Charge) -> bool:
    """Whether a charge for two months together is another than for each of them."""
    if charge.at_most or (charge.when and charge.when.per):
        return True
    if isinstance(charge, EnergyCharge):
        return charge.slabs is not None or charge.period_slabs is not None
    if isinstance(charge, FixedCharge):
        return charge.per == "bill" or charge.proration == "none"
    if isinstance(charge, MinimumCharge):
        return charge.per != "year"
    return isinstance(charge, DemandCharge)
