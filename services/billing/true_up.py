"""An actual read settles the bills that estimates closed: the time since the last actual read.

That time is rated as a whole, as many bills as it has, less what those bills charged, line by line.
So slab limits and amounts per bill or month count once for each bill, and taxes, minimums and the
rounding of lines are those of the whole (docs/decisions/0033).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

from services.billing.pricing import measured, within_reason
from services.metering.billing_determinants import usage_of
from services.metering.measured import Metering
from services.metering.segments import segments_between
from services.quantities.money import exponent
from services.quantities.period import Period
from services.rating import BillLine, LastBill, RatedBill, demand_codes
from services.rating.rounding import AFTER_CHARGES, BEFORE_CHARGES
from services.records.bills import BilledBefore, NewBill, PricingInputs, TruedUp
from services.records.readings import Installation, MeterConstants, Read
from services.records.tariffs import TariffVersion, version_in_force, versions_within
from services.tariffs import Charge, Tariff

# What a later bill looks up by these codes is what this bill carries on itself.
# What a later bill's ratchet looks up.
_PEAKS: Final = ("peak_w", "peak_va", "peak_var")
_NOT_CARRIED: Final = (*BEFORE_CHARGES, *AFTER_CHARGES)


@dataclass(frozen=True, slots=True)
class WholeTime:
    """The time since the last actual read as a whole, and what of it was billed before.

    It is priced as the bills that it is, `billed_as`, of which the bill that settles is the last.
    """

    settles: TruedUp
    metering: Metering
    billed_as: tuple[Period, ...]
    # What it has of its own, and the bills before keep: demand.
    last: LastBill | None = None

    def less_billed_before(self, whole: RatedBill) -> RatedBill:
        """The lines of the whole, and then each line that was billed before, taken off."""
        kept = self.last.kept if self.last else ()
        before = [
            line
            for bill in self.settles.bills
            for line in _taken_off(bill)
            if line.code not in kept
        ]
        return within_reason(RatedBill(whole.currency, (*whole.lines, *before)))

    def snapshot(self, own: Metering) -> dict[str, Any]:
        """What is kept of the bill: its own use and registers, since when it settles what."""
        since = {"start": self.settles.opening.read_on.isoformat(), "wh": self.metering.wh}
        kept: dict[str, Any] = {"wh": own.wh, "trued_up": since}
        if own.registers:
            kept["registers"] = {name: dict(of) for name, of in own.registers.items()}
        if self.last:
            peaks = {name: getattr(self.last.usage, name) for name in _PEAKS}
            kept |= {name: peak for name, peak in peaks.items() if peak is not None}
        return kept


def what_is_settled(
    settles: TruedUp | None, *, opening: Read, closing: Read, tariffs: Sequence[TariffVersion]
) -> TruedUp | None:
    """What a bill between two reads settles.

    None where nothing is settled: the bill closes at no actual read, or its tariff has what no
    several bills have together (docs/decisions/0039).
    """
    if settles is None or not settles.bills or opening.is_actual or not closing.is_actual:
        return None
    within = versions_within(tariffs, period=Period(settles.opening.read_on, closing.read_on))
    found = [version.tariff for version, _ in within]
    if any(tariff.net_metering for tariff in found):
        return None
    by_demand = any(demand_codes(tariff) for tariff in found)
    if by_demand and (len(found) > 1 or any(map(_counts_by_demand, found[0].charges))):
        return None
    return settles


def whole_time(
    settles: TruedUp,
    *,
    own: Metering,
    closing: Read,
    constants: MeterConstants,
    tariffs: Sequence[TariffVersion],
) -> WholeTime:
    """The time that a bill settles, measured.

    `own` is what that bill measured by itself, whose demand it charges. Raises as measuring does.
    """
    start = settles.opening
    metering = measured(
        segments_between(
            opening=start,
            closing=closing,
            installations=settles.installations,
            constants=constants,
        ),
        opening=start,
        closing=closing,
        tariffs=tariffs,
        inputs=settles.inputs(closing),
        between=settles.between,
        zone=own.zone,
    )
    days = [Period(bill.period_start, bill.period_end) for bill in settles.bills]
    tariff = version_in_force(tariffs, on=own.period.start).tariff
    last = _last_bill(settles, own, tariff) if demand_codes(tariff) else None
    return WholeTime(settles, metering, (*days, own.period), last)


def _last_bill(settles: TruedUp, own: Metering, tariff: Tariff) -> LastBill:
    codes = demand_codes(tariff)
    kept = dict.fromkeys(codes, Fraction(0))
    for line in (line for bill in settles.bills for line in bill.lines):
        if line.code in codes:
            kept[line.code] += Fraction(line.amount_minor, 10 ** exponent(tariff.currency))
    # Its energy is settled with that of the whole, and may be below 0.
    at_least_0 = replace(
        own,
        segments_wh=(max(own.wh, 0),),
        counted={name: max(wh, 0) for name, wh in own.counted.items()},
    )
    return LastBill(usage_of(metering=at_least_0, tariff=tariff, days=own.period), kept)


def settles_next(
    settles: TruedUp | None,
    bill: NewBill,
    *,
    between: Sequence[Read],
    inputs: PricingInputs,
    installations: Sequence[Installation],
) -> TruedUp | None:
    """What the bill after a new one settles: with that and those before it; or nothing.

    `inputs` are those from where that bill opens, for which `settles` is None or ended there.
    """
    if bill.closing.is_actual:
        return None
    if settles is None or bill.opening.is_actual:
        settles = TruedUp(
            opening=bill.opening,
            between=tuple(between),
            installations=tuple(installations),
            pricing=inputs,
        )
    return settles.model_copy(update={"bills": (*settles.bills, bill.billed_before)})


def _counts_by_demand(charge: Charge) -> bool:
    """Whether something else than a demand is charged by it, which is another one in each bill."""
    return (
        getattr(charge, "times", None) == "billed_kw"
        or getattr(charge, "slab_limits_per", None) == "kw"
    )


def _taken_off(bill: BilledBefore) -> Iterator[BillLine]:
    for line in bill.lines:
        if line.amount_minor:
            yield BillLine(
                code="rounding" if line.code in _NOT_CARRIED else line.code,
                description=line.description,
                tax=line.tax,
                quantity="1",
                unit="bill",
                rate=None,
                amount_minor=-line.amount_minor,
                part=Period(bill.period_start, bill.period_end),
                billed_before=True,
            )
