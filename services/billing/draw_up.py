"""Drawing up a bill: from two reads and a tariff to everything a bill must say, without any I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from services.billing.pricing import Parts, Price, measured, parts_of, priced
from services.billing.true_up import WholeTime, settles_next, what_is_settled, whole_time
from services.metering.bill_periods import BillLength, closing_reads, why_held
from services.metering.measured import Metering
from services.metering.segments import segments_between
from services.metering.usage_snapshot import usage_snapshot
from services.quantities.named_ids import ordered_named_id
from services.rating import RatedBill
from services.records.bills import Issue, NewBill, PastBill, PricingInputs
from services.records.corrections import looks_back, past_of
from services.records.readings import Installation, MeterConstants, Read, ReadBetween, Segment
from services.records.tariffs import TariffVersion, version_in_force, versions_within

# Ids made from what a bill is about: a second run of the same work makes the same bill.
BILL_NAMESPACE = uuid5(NAMESPACE_URL, "electricity-billing/bill")


def bill_id(opening: Read, *, reissue_no: int) -> str:
    """The id of the bill that opens at this read, the `reissue_no`-th time it is made."""
    name = f"{opening.meter_id}/{opening.id}/{reissue_no}"
    return ordered_named_id(opening.read_at, BILL_NAMESPACE, name)


@dataclass(frozen=True, slots=True)
class MeasuredBill:
    """A bill whose use is known, and its price not yet; `whole` is the time that it settles."""

    agreement_id: str
    segments: tuple[Segment, ...]
    opening: Read
    closing: Read
    tariffs: Sequence[TariffVersion]
    reissue_no: int
    issue: Issue | None
    metering: Metering
    whole: WholeTime | None
    is_final: bool

    def parts(self) -> Parts:
        """What it is priced from; raises UnableToPriceBill, InvalidTariff."""
        if self.whole is None:
            return parts_of(self.metering, self.tariffs, is_final=self.is_final)
        return parts_of(self.whole.metering, self.tariffs)

    def priced(self) -> NewBill:
        """The bill; raises UnableToPriceBill, InvalidTariff."""
        whole = self.whole
        price = priced(
            whole.metering if whole else self.metering,
            self.parts(),
            billed_as=whole.billed_as if whole else (),
            last=whole.last if whole else None,
        )
        return self.with_price(price)

    def with_price(self, price: Price) -> NewBill:
        """The bill with the price of its parts; raises UnableToPriceBill."""
        if self.whole is None:
            kept = usage_snapshot(self.metering, price.parts, price.net)
            return self._bill(price, price.rated, kept)
        rated = self.whole.less_billed_before(price.rated)
        return self._bill(price, rated, self.whole.snapshot(self.metering))

    def _bill(self, price: Price, rated: RatedBill, usage: dict[str, Any] | None) -> NewBill:
        metering, opening = self.metering, self.opening
        within = versions_within(self.tariffs, period=metering.period)
        return NewBill(
            id=bill_id(opening, reissue_no=self.reissue_no),
            agreement_id=self.agreement_id,
            segments=self.segments,
            segments_wh=metering.segments_wh,
            tariff_version_id=version_in_force(self.tariffs, on=opening.read_on).id,
            opening=opening,
            closing=self.closing,
            consumption_wh=metering.wh,
            rated=rated,
            reissue_no=self.reissue_no,
            issue=self.issue,
            usage=usage,
            priced_by=tuple(version.id for version in price.versions),
            held_because=why_held([of_days.tariff for of_days, _ in within], metering.period)
            or price.doubt,
        )


def measured_bill(
    *,
    agreement_id: str,
    constants: MeterConstants,
    opening: Read,
    closing: Read,
    tariffs: Sequence[TariffVersion],
    reissue_no: int,
    issue: Issue | None,
    zone: ZoneInfo,
    inputs: PricingInputs | None = None,
    installations: Sequence[Installation] = (),
    between: Sequence[Read] = (),
    is_final: bool = False,
) -> MeasuredBill:
    """Measure what was used between two reads, to be priced with the tariff in force.

    The period is [local date of the opening read, local date of the closing read). The bill names
    the tariff version of its first day; where the tariff changes within the period, each version
    prices its part, in lines that name their days. `inputs` are of meters with more than a total.
    A bill that opens at no actual read and closes at one settles the bills before it, if
    `inputs` have them (services/billing/true_up.py).
    `installations` say which meters were there, `constants` are those of a meter that always was;
    `between` are the accepted reads between the two where meters were exchanged. The final bill of
    an agreement settles its banks of kWh.
    Raises UnableToPriceBill, EmptyPeriod, InvalidTariff.
    """
    inputs = inputs or PricingInputs()
    segments = segments_between(
        opening=opening, closing=closing, installations=installations, constants=constants
    )
    settles = what_is_settled(inputs.trued_up, opening=opening, closing=closing, tariffs=tariffs)
    metering = measured(
        segments,
        opening=opening,
        closing=closing,
        tariffs=tariffs,
        inputs=inputs,
        between=between,
        zone=zone,
        may_fall=settles is not None,
        last_actual=inputs.trued_up.opening if inputs.trued_up and not opening.is_actual else None,
    )
    whole = None
    if settles is not None:
        whole = whole_time(
            settles, own=metering, closing=closing, constants=constants, tariffs=tariffs
        )
    return MeasuredBill(
        agreement_id=agreement_id,
        segments=segments,
        opening=opening,
        closing=closing,
        tariffs=tariffs,
        reissue_no=reissue_no,
        issue=issue,
        metering=metering,
        whole=whole,
        is_final=is_final,
    )


def bill_ends(
    *,
    opening: Read,
    between: Sequence[ReadBetween],
    closing: Read,
    tariffs: Sequence[TariffVersion],
    shortest_days: int,
    billing_day: int,
    however_short: bool = False,
) -> list[Read]:
    """The reads at which the bills from one read to another end; raises UnableToPriceBill."""
    return closing_reads(
        opening=opening,
        between=between,
        closing=closing,
        length_on=lambda day: BillLength.of(version_in_force(tariffs, on=day).tariff),
        shortest=shortest_days,
        billing_day=billing_day,
        however_short=however_short,
    )


def inputs_of_only(
    inputs: PricingInputs, *, opening: Read, between: Sequence[Read], closing: Read
) -> PricingInputs:
    """What pricing needs where all the time is one bill."""
    rolled_over = _rolled_over(between, opening, closing)
    if rolled_over == inputs.rolled_over:
        return inputs
    return inputs.model_copy(update={"rolled_over": rolled_over})


def draw_up_bills(
    *,
    agreement_id: str,
    constants: MeterConstants,
    installations: Sequence[Installation],
    opening: Read,
    between: Sequence[ReadBetween],
    closing: Read,
    tariffs: Sequence[TariffVersion],
    reissue_no: int,
    issue: Issue | None,
    zone: ZoneInfo,
    inputs: PricingInputs,
    shortest_days: int,
    billing_day: int,
    however_short: bool = False,
    is_final: bool = False,
) -> list[NewBill]:
    """The bills from one read to another, in order: one a cycle where reads were taken then.

    `between` are the accepted reads between the two. The last read closes no bill where that would
    be too short, unless `however_short`; with `is_final` it is that of a move-out.
    Raises as `measured_bill` does.
    """
    ends = bill_ends(
        opening=opening,
        between=between,
        closing=closing,
        tariffs=tariffs,
        shortest_days=shortest_days,
        billing_day=billing_day,
        however_short=however_short,
    )
    bills: list[NewBill] = []
    settles = inputs.trued_up
    for end in ends:
        start = bills[-1].closing if bills else opening
        of_bill = (
            _inputs_of(inputs, start, end, between=between, bills=bills, tariffs=tariffs)
            if len(ends) > 1
            else inputs_of_only(inputs, opening=start, between=between, closing=end)
        )
        bill = measured_bill(
            agreement_id=agreement_id,
            constants=constants,
            installations=installations,
            between=between,
            opening=start,
            closing=end,
            tariffs=tariffs,
            reissue_no=start.reissues if isinstance(start, ReadBetween) else reissue_no,
            issue=issue,
            zone=zone,
            is_final=is_final and end is ends[-1],
            inputs=of_bill.model_copy(update={"trued_up": settles}),
        ).priced()
        if end is not ends[-1]:
            settles = settles_next(
                settles,
                bill,
                between=between,
                inputs=_inputs_of(
                    inputs, start, closing, between=between, bills=bills, tariffs=tariffs
                ),
                installations=installations,
            )
        bills.append(bill)
    return bills


def _rolled_over(between: Sequence[Read], start: Read, end: Read) -> bool:
    return any(r.rolled_over for r in between if start.read_at < r.read_at < end.read_at)


def _inputs_of(
    inputs: PricingInputs,
    start: Read,
    end: Read,
    *,
    between: Sequence[ReadBetween],
    bills: Sequence[NewBill],
    tariffs: Sequence[TariffVersion],
) -> PricingInputs:
    """Of what pricing the whole time needs, what one of its bills needs."""
    past = inputs.past
    if any(looks_back(version.tariff) for version in tariffs):
        tariff_of = {version.id: version.tariff_id for version in tariffs}
        new = (past_of_new(b, tariff_id=tariff_of[b.tariff_version_id]) for b in reversed(bills))
        past = (*new, *past)
    opening_registers = inputs.opening_registers if not bills else {}
    for read in between if bills else ():
        same = (read.meter_id, read.read_on, read.register_wh)
        if same == (start.meter_id, start.read_on, start.register_wh):
            opening_registers |= read.registers
    return PricingInputs(
        opening_registers=opening_registers,
        between=tuple(
            read.registers
            for read in between
            if read.registers and start.read_at < read.read_at < end.read_at
        ),
        past=past,
        opening_bank=inputs.opening_bank,
        rolled_over=_rolled_over(between, start, end),
        intervals=inputs.intervals.between(start.read_on, end.read_on),
    )


def past_of_new(bill: NewBill, *, tariff_id: str) -> PastBill:
    """What a bill about to be stored leaves to later ones."""
    return past_of(
        tariff_id=tariff_id,
        start=bill.opening.read_on,
        end=bill.closing.read_on,
        usage=bill.usage,
        lines=bill.rated.lines,
    )
