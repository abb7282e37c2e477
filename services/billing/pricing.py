"""Pricing what was measured between two reads, by the tariff versions in force on its days."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from services.languages.sentence import joined, sentence, sentence_of
from services.metering.billing_determinants import usage_of
from services.metering.measured import Metering
from services.metering.registers import measure_of
from services.quantities.money import Money
from services.quantities.period import Period
from services.rating import (
    LastBill,
    NetBill,
    Part,
    RatedBill,
    UnableToPriceBill,
    netted,
    rate_parts,
    rate_usage,
)
from services.records.bills import PricingInputs
from services.records.readings import Read, Segment
from services.records.tariffs import TariffVersion, version_in_force, versions_within

# Far beyond any bill, and within what a database and a browser hold exactly (2^53).
_MOST_MINOR: Final = 10**15


@dataclass(frozen=True, slots=True)
class Parts:
    """What a bill is priced from: its days by the tariff versions that price them, each a part.

    `net` are the banks of kWh, None without net metering.
    """

    versions: tuple[TariffVersion, ...]
    parts: tuple[Part, ...]
    net: NetBill | None
    # Why a person is to look at it, beside its length; empty for most bills.
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Price(Parts):
    """A bill's lines, with what they follow from."""

    rated: RatedBill = field(kw_only=True)

    @classmethod
    def of(cls, parts: Parts, rated: RatedBill) -> "Price":
        """Parts with their price; raises UnableToPriceBill for amounts that no bill can have."""
        return cls(parts.versions, parts.parts, parts.net, parts.doubt, rated=within_reason(rated))


def priced(
    metering: Metering,
    found: Parts,
    *,
    billed_as: Sequence[Period] = (),
    last: LastBill | None = None,
) -> Price:
    """Price the parts of what was measured over the days of a bill.

    `billed_as` are the days of the bills that it is priced as, if they are several, and `last` the
    demand of the last one. Raises UnableToPriceBill.
    """
    return Price.of(found, _rated(found.parts, metering, billed_as, last))


def parts_of(
    metering: Metering, tariffs: Sequence[TariffVersion], *, is_final: bool = False
) -> Parts:
    """What a bill is priced from: each version of a tariff prices its own days.

    What is banked under net metering is settled with the final bill of a customer, and with the
    last bill before a tariff without net metering. Raises UnableToPriceBill, InvalidTariff.
    """
    within = versions_within(tariffs, period=metering.period)
    found = tuple(
        Part(of_days.tariff, days, usage_of(metering=metering, tariff=of_days.tariff, days=days))
        for of_days, days in within
    )
    try:
        bank = metering.past.bank(metering.period.start)
        leaves = not nets_on(tariffs, day=metering.period.end)
        parts, net = netted(found, opening=bank, is_final=is_final or leaves)
    except UnableToPriceBill as error:
        said = joined((sentence_of(error), *metering.hints), by=" ")
        raise UnableToPriceBill(said) from None
    doubt = _without_exports(metering) if net else ""
    return Parts(tuple(of_days for of_days, _ in within), parts, net, doubt)


def nets_on(tariffs: Sequence[TariffVersion], *, day: date) -> bool:
    """Whether the version in force on a local date has net metering."""
    return version_in_force(tariffs, on=day).tariff.net_metering is not None


def _without_exports(metering: Metering) -> str:
    """That exports are not netted because nobody knows what they began at; empty where they are."""
    lacking = [name for name in metering.uncounted if measure_of(name).quantity == "export"]
    if not lacking:
        return ""
    why = joined(metering.hints, by=" ")
    return sentence("What was exported is not netted: {why}", why=why)


def measured(
    segments: Sequence[Segment],
    *,
    opening: Read,
    closing: Read,
    tariffs: Sequence[TariffVersion],
    inputs: PricingInputs,
    between: Sequence[Read],
    zone: ZoneInfo,
    may_fall: bool = False,
    last_actual: Read | None = None,
) -> Metering:
    """What was measured between two reads, with the past bills as its tariff looks at them.

    `may_fall` and `last_actual` as in `Metering.over`. Raises RegisterFell, EmptyPeriod.
    """
    metering = Metering.over(
        segments,
        opening=opening,
        closing=closing,
        inputs=inputs,
        between=between,
        zone=zone,
        may_fall=may_fall,
        last_actual=last_actual,
    )
    tariff_id = version_in_force(tariffs, on=opening.read_on).tariff_id
    past = metering.past.under(tariffs, tariff_id=tariff_id, until=closing.read_on)
    return replace(metering, past=past)


def is_within_reason(rated: RatedBill) -> bool:
    """Whether its amounts are such as a bill can have."""
    return abs(_largest(rated)) <= _MOST_MINOR


def _largest(rated: RatedBill) -> int:
    return max((rated.total_minor, *(line.amount_minor for line in rated.lines)), key=abs)


def within_reason(rated: RatedBill) -> RatedBill:
    """The same; raises UnableToPriceBill for amounts that no bill can have."""
    if not is_within_reason(rated):
        largest = _largest(rated)
        raise UnableToPriceBill(
            sentence(
                "It would bill {amount}, more than any bill can: "
                "check the meter's multiplier, its readings and the rates of its tariff.",
                amount=Money(largest, rated.currency),
            )
        )
    return rated


def _rated(
    parts: Sequence[Part],
    metering: Metering,
    billed_as: Sequence[Period],
    last: LastBill | None,
) -> RatedBill:
    try:
        if len(parts) > 1 or billed_as:
            return rate_parts(parts=parts, whole=metering.period, billed_as=billed_as, last=last)
        (part,) = parts
        return rate_usage(tariff=part.tariff, usage=part.usage, period=part.period)
    except UnableToPriceBill as error:
        said = joined((sentence_of(error), *metering.hints), by=" ")
        raise UnableToPriceBill(said) from None
