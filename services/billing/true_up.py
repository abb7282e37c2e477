"""An actual read settles the bills that estimates closed: the time since the last actual read.

That time is rated as a whole, as many bills as it has, less what those bills charged, line by line.
So slab limits and amounts per bill or month count once for each bill, and taxes, minimums and the
rounding of lines are those of the whole (docs/decisions/0033).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.billing.pricing import Price, measured, priced, within_reason
from services.metering.measured import Metering
from services.metering.segments import segments_between
from services.quantities.period import Period
from services.rating import BillLine, RatedBill
from services.rating.rounding import AFTER_CHARGES, BEFORE_CHARGES
from services.records.bills import BilledBefore, NewBill, PricingInputs, TruedUp
from services.records.readings import Installation, MeterConstants, Read
from services.records.tariffs import TariffVersion, versions_within
from services.tariffs import DemandCharge, Tariff

# What a later bill looks up by these codes is what this bill carries on itself.
_NOT_CARRIED: Final = (*BEFORE_CHARGES, *AFTER_CHARGES)


@dataclass(frozen=True, slots=True)
class Settled:
    """The time since the last actual read as a whole, and what of it was billed before."""

    settles: TruedUp
    used_wh: int
    whole: Price

    @property
    def rated(self) -> RatedBill:
        """The lines of the whole, and then each line that was billed before, taken off."""
        before = [line for bill in self.settles.bills for line in _taken_off(bill)]
        lines = (*self.whole.rated.lines, *before)
        return within_reason(RatedBill(self.whole.rated.currency, lines))

    def snapshot(self, metering: Metering) -> dict[str, Any]:
        """What is kept of the bill: its own use and registers, since when it settles what."""
        since = {"start": self.settles.opening.read_on.isoformat(), "wh": self.used_wh}
        kept: dict[str, Any] = {"wh": metering.wh, "trued_up": since}
        if metering.registers:
            kept["registers"] = {name: dict(of) for name, of in metering.registers.items()}
        return kept


def settled_by(
    settles: TruedUp | None,
    *,
    opening: Read,
    closing: Read,
    constants: MeterConstants,
    tariffs: Sequence[TariffVersion],
    zone: ZoneInfo,
) -> Settled | None:
    """What a bill between two reads settles, priced as the bills that it is; it is the last.

    None where nothing is settled: the bill closes at no actual read, or its tariff charges for
    demand, or nets what was exported, which nobody estimates. Raises as pricing does.
    """
    if settles is None or not settles.bills or opening.is_actual or not closing.is_actual:
        return None
    start = settles.opening
    within = versions_within(tariffs, period=Period(start.read_on, closing.read_on))
    if any(_is_beyond_the_total(version.tariff) for version, _ in within):
        return None
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
        zone=zone,
    )
    days = [Period(bill.period_start, bill.period_end) for bill in settles.bills]
    billed_as = [*days, Period(opening.read_on, closing.read_on)]
    return Settled(settles, metering.wh, priced(metering, tariffs, billed_as=billed_as))


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


def _is_beyond_the_total(tariff: Tariff) -> bool:
    demand = any(isinstance(charge, DemandCharge) for charge in tariff.charges)
    return demand or tariff.net_metering is not None


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
