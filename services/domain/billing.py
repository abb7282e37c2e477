"""Drawing up a bill: from two reads and a tariff to everything a bill must say, without any I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Literal
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from services.domain.bill_periods import BillLength, closing_reads, why_held
from services.domain.kept_usage import usage_json
from services.domain.meter_book import MOST_PAST, looks_back, past_of
from services.domain.metered_usage import usage_of
from services.domain.metering import Metering, Register
from services.domain.money import Money
from services.domain.period import Period
from services.domain.rating import Part, RatedBill, UnableToPriceBill, rate_parts, rate_usage
from services.domain.records import PastBill, PricingFacts, Read, ReadBetween, TariffVersion

# Ids made from what a bill is about: a second run of the same work makes the same bill.
BILL_NAMESPACE = uuid5(NAMESPACE_URL, "electricity-billing/bill")


# Far beyond any bill, and within what a database and a browser hold exactly (2^53).
_MOST_MINOR: Final = 10**15


class NoTariffInForce(UnableToPriceBill):
    """The tariff has no version for the bill's first day."""


@dataclass(frozen=True, slots=True)
class Issue:
    """When a bill is issued and due; None in its place leaves the bill a draft."""

    at: datetime
    on: date
    due_days: int

    @property
    def due_date(self) -> date:
        """The local date by which the bill is to be paid."""
        return self.on + timedelta(days=self.due_days)


@dataclass(frozen=True, slots=True)
class NewBill:
    """A bill about to be stored: priced, not numbered yet."""

    id: str
    register: Register
    tariff_version_id: str
    opening: Read
    closing: Read
    consumption_wh: int
    rated: RatedBill
    reissue_no: int
    issue: Issue | None
    # What it was priced from beside its consumption, None where that was all.
    usage: dict[str, Any] | None = None
    owed: dict[str, Any] | None = None
    # What AI made of it, if it was asked (services/ai/second_opinion.py).
    second_opinion: dict[str, Any] | None = None
    # The versions that priced its days, in order, and the void bill that it takes the place of.
    priced_by: tuple[str, ...] = ()
    replaces_id: str | None = None
    # Why a person must look at it before it is issued, empty for most bills.
    held_because: str = ""

    @property
    def status(self) -> Literal["issued", "draft"]:
        """Issued at once, or a draft that waits for approval."""
        return "issued" if self.issue else "draft"

    def unattended(self) -> "NewBill":
        """As it is stored where nobody has looked at it: a draft if something holds it."""
        return replace(self, issue=None, owed=None) if self.held_because else self

    def to_json(self) -> dict[str, Any]:
        """As the database's functions take it: integers and strings only."""
        issue = self.issue
        return {
            "id": self.id,
            "status": self.status,
            "meter_id": self.register.meter_id,
            "tariff_version_id": self.tariff_version_id,
            "opening_reading_id": self.opening.id,
            "closing_reading_id": self.closing.id,
            "period_start": self.opening.read_on.isoformat(),
            "period_end": self.closing.read_on.isoformat(),
            "opening_wh": self.opening.register_wh,
            "closing_wh": self.closing.register_wh,
            "consumption_wh": self.consumption_wh,
            "currency": self.rated.currency,
            "lines": [line.to_json() for line in self.rated.lines],
            "subtotal_minor": self.rated.subtotal_minor,
            "tax_minor": self.rated.tax_minor,
            "total_minor": self.rated.total_minor,
            "reissue_no": self.reissue_no,
            "issued_at": issue.at.isoformat() if issue else None,
            "issued_on": issue.on.isoformat() if issue else None,
            "due_date": issue.due_date.isoformat() if issue else None,
            "owed": self.owed,
            "second_opinion": self.second_opinion,
            "usage": self.usage,
            "priced_by": list(self.priced_by) or None,
            "replaces_id": self.replaces_id,
            "held_because": None if issue else self.held_because or None,
        }


def bill_id(*, meter_id: str, opening_reading_id: str, reissue_no: int) -> str:
    """The id of the bill that opens at this read, the `reissue_no`-th time it is made."""
    return str(uuid5(BILL_NAMESPACE, f"{meter_id}/{opening_reading_id}/{reissue_no}"))


def draw_up_bill(
    *,
    register: Register,
    opening: Read,
    closing: Read,
    tariffs: Sequence[TariffVersion],
    reissue_no: int,
    issue: Issue | None,
    zone: ZoneInfo,
    facts: PricingFacts | None = None,
) -> NewBill:
    """Price what was used between two reads with the tariff in force.

    The period is [local date of the opening read, local date of the closing read). The bill names
    the tariff version of its first day; where the tariff changes within the period, each version
    prices its part, in lines that name their days. `facts` are of meters with more than a total.
    Raises UnableToPriceBill, EmptyPeriod, InvalidTariff.
    """
    version = version_in_force(tariffs, on=opening.read_on)
    metering = Metering.between(
        opening=opening,
        closing=closing,
        register=register,
        facts=facts or PricingFacts(),
        zone=zone,
    )
    within = versions_within(tariffs, period=metering.period)
    parts = [
        Part(of_days.tariff, days, usage_of(metering=metering, tariff=of_days.tariff, days=days))
        for of_days, days in within
    ]
    return NewBill(
        id=bill_id(
            meter_id=register.meter_id, opening_reading_id=opening.id, reissue_no=reissue_no
        ),
        register=register,
        tariff_version_id=version.id,
        opening=opening,
        closing=closing,
        consumption_wh=metering.wh,
        rated=_within_reason(_price(parts, metering)),
        reissue_no=reissue_no,
        issue=issue,
        usage=usage_json(metering, parts),
        priced_by=tuple(of_days.id for of_days, _ in within),
        held_because=why_held([of_days.tariff for of_days, _ in within], metering.period),
    )


def draw_up_bills(
    *,
    register: Register,
    opening: Read,
    between: Sequence[ReadBetween],
    closing: Read,
    tariffs: Sequence[TariffVersion],
    reissue_no: int,
    issue: Issue | None,
    zone: ZoneInfo,
    facts: PricingFacts,
    shortest_days: int,
    however_short: bool = False,
) -> list[NewBill]:
    """The bills from one read to another, in order: one a month where reads were taken then.

    `between` are the accepted reads between the two. The last read closes no bill where that would
    be too short, unless `however_short`. Raises as `draw_up_bill` does.
    """
    ends = closing_reads(
        opening=opening,
        between=between,
        closing=closing,
        length_on=lambda day: BillLength.of(version_in_force(tariffs, on=day).tariff),
        shortest=shortest_days,
        however_short=however_short,
    )
    bills: list[NewBill] = []
    for end in ends:
        start = bills[-1].closing if bills else opening
        bills.append(
            draw_up_bill(
                register=register,
                opening=start,
                closing=end,
                tariffs=tariffs,
                reissue_no=start.reissues if isinstance(start, ReadBetween) else reissue_no,
                issue=issue,
                zone=zone,
                facts=_facts_of(facts, start, end, between=between, bills=bills, tariffs=tariffs)
                if len(ends) > 1
                else facts.model_copy(update={"rolled_over": _rolled_over(between, start, end)}),
            )
        )
    return bills


def _rolled_over(between: Sequence[Read], start: Read, end: Read) -> bool:
    return any(r.rolled_over for r in between if start.read_at < r.read_at < end.read_at)


def _facts_of(
    facts: PricingFacts,
    start: Read,
    end: Read,
    *,
    between: Sequence[ReadBetween],
    bills: Sequence[NewBill],
    tariffs: Sequence[TariffVersion],
) -> PricingFacts:
    """Of what pricing the whole time needs, what one of its bills needs."""
    past = facts.past
    if any(looks_back(version.tariff) for version in tariffs):
        past = (*(past_of_new(bill) for bill in reversed(bills)), *past)
    opening_registers = facts.opening_registers if not bills else {}
    for read in between if bills else ():
        if (read.read_on, read.register_wh) == (start.read_on, start.register_wh):
            opening_registers |= read.registers
    return PricingFacts(
        opening_registers=opening_registers,
        between=tuple(
            read.registers
            for read in between
            if read.registers and start.read_at < read.read_at < end.read_at
        ),
        past=past[:MOST_PAST],
        rolled_over=_rolled_over(between, start, end),
        intervals=tuple(d for d in facts.intervals if start.read_on <= d.day < end.read_on),
    )


def past_of_new(bill: NewBill) -> PastBill:
    """What a bill about to be stored leaves to later ones."""
    return past_of(
        start=bill.opening.read_on,
        end=bill.closing.read_on,
        usage=bill.usage,
        lines=bill.rated.lines,
    )


def versions_within(
    versions: Sequence[TariffVersion], *, period: Period
) -> list[tuple[TariffVersion, Period]]:
    """The versions in force in a period, each with its days; raises UnableToPriceBill."""
    changes = {v.effective_from for v in versions if period.start < v.effective_from < period.end}
    days = [period.start, *sorted(changes), period.end]
    return [(version_in_force(versions, on=a), Period(a, b)) for a, b in pairwise(days)]


def _price(parts: Sequence[Part], metering: Metering) -> RatedBill:
    try:
        if len(parts) > 1:
            return rate_parts(parts=parts, whole=metering.period)
        (part,) = parts
        return rate_usage(tariff=part.tariff, usage=part.usage, period=part.period)
    except UnableToPriceBill as error:
        raise UnableToPriceBill(" ".join((str(error), *metering.hints))) from None


def _within_reason(rated: RatedBill) -> RatedBill:
    amounts = (rated.total_minor, *(line.amount_minor for line in rated.lines))
    largest = max(amounts, key=abs)
    if abs(largest) > _MOST_MINOR:
        raise UnableToPriceBill(
            f"It would bill {Money(largest, rated.currency).display()}, more than any bill can: "
            "check the meter's multiplier, its readings and the rates of its tariff."
        )
    return rated


def version_in_force(versions: Sequence[TariffVersion], *, on: date) -> TariffVersion:
    """The latest version effective on or before a local date; raises UnableToPriceBill."""
    in_force = [v for v in versions if v.effective_from <= on]
    if not in_force:
        code = versions[0].code if versions else "this meter's tariff"
        raise NoTariffInForce(f"No version of {code} is in force on {on:%d %B %Y}.")
    return max(in_force, key=lambda v: v.effective_from)
