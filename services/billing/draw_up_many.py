"""Drawing up the bills of many agreements at once; services/billing/draw_up.py makes each alone.

Most bills of a month run between two actual reads of one meter under one version of a tariff, and
need a total and its days alone: all is done in columns. Of the others the use is found one by one,
with the intervals of a page summed together, and then priced in columns: those with intervals,
registers, several meters or tariff versions, or that look back or settle estimates. What is left is
drawn up alone: what is several bills, settles estimates under a charge for demand, or cannot be
priced, which says why.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np

from services.billing.draw_up import (
    MeasuredBill,
    bill_ends,
    bill_id,
    inputs_of_only,
    measured_bill,
)
from services.billing.pricing import Parts, Price, is_within_reason
from services.metering.bill_periods import BillLength, why_held
from services.metering.interval_table import in_one_table
from services.quantities.period import EmptyPeriod, Period
from services.rating import (
    RatedBill,
    UnableToPriceBill,
    UsageBatch,
    rate_each,
    rate_together,
)
from services.records.bills import BillCandidate, Issue, NewBill
from services.records.readings import MeterConstants, Read, Segment
from services.records.tariffs import TariffVersion, versions_within
from services.tariffs import InvalidTariff, day_number

TariffsOf = Callable[[BillCandidate], Sequence[TariffVersion]]


@dataclass(frozen=True, slots=True)
class _Plain:
    """An agreement's use in Wh between two reads of one meter, priced by one tariff version."""

    candidate: BillCandidate
    closing: Read
    version: TariffVersion
    wh: int


def draw_up_plain_bills(
    candidates: Iterable[BillCandidate],
    *,
    tariffs_of: TariffsOf,
    issue: Issue | None,
    shortest_days: int,
) -> dict[str, NewBill]:
    """The bills, by agreement, of those candidates that have one bill and need nothing further."""
    find = _OneVersion(tariffs_of, shortest_days)
    batches: dict[tuple[str, bool, bool], list[_Plain]] = defaultdict(list)
    for candidate in candidates:
        plain = find.plain(candidate)
        if plain is not None:
            constants = candidate.constants
            has = constants.connected_w is not None, constants.connected_va is not None
            batches[plain.version.id, *has].append(plain)
    return {
        plain.candidate.agreement_id: _bill(plain, rated, issue)
        for batch in batches.values()
        for plain, rated in zip(batch, _rated(batch), strict=False)
        if is_within_reason(rated)
    }


def draw_up_measured_bills(
    candidates: Iterable[BillCandidate],
    *,
    tariffs_of: TariffsOf,
    issue: Issue | None,
    zone: ZoneInfo,
    shortest_days: int,
) -> dict[str, NewBill]:
    """The bills, by agreement, of those candidates that have one bill."""
    measured: list[MeasuredBill] = []
    for candidate in candidates:
        with suppress(UnableToPriceBill, EmptyPeriod, InvalidTariff):
            one = _measured(candidate, tariffs_of(candidate), issue, zone, shortest_days)
            measured += [] if one is None else [one]
    found: list[tuple[MeasuredBill, Parts]] = []
    for bill in _with_intervals_together(measured):
        with suppress(UnableToPriceBill, InvalidTariff):
            found.append((bill, bill.parts()))
    rated = rate_together(
        [(parts.parts, bill.whole.billed_as if bill.whole else ()) for bill, parts in found]
    )
    bills: dict[str, NewBill] = {}
    for (bill, parts), price in zip(found, rated, strict=True):
        if price is not None:
            with suppress(UnableToPriceBill):
                bills[bill.agreement_id] = bill.with_price(Price.of(parts, price))
    return bills


def _measured(
    candidate: BillCandidate,
    tariffs: Sequence[TariffVersion],
    issue: Issue | None,
    zone: ZoneInfo,
    shortest_days: int,
) -> MeasuredBill | None:
    """The bill of a candidate, measured; None where it is several or none, or has a last demand."""
    opening, between, closing = candidate.opening, candidate.between, candidate.closing
    if closing is None:
        return None
    ends = bill_ends(
        opening=opening,
        between=between,
        closing=closing,
        tariffs=tariffs,
        shortest_days=shortest_days,
        billing_day=candidate.billing_day,
        however_short=candidate.is_final,
    )
    if ends != [closing]:
        return None
    inputs = candidate.pricing
    bill = measured_bill(
        agreement_id=candidate.agreement_id,
        constants=candidate.constants,
        installations=candidate.installations,
        opening=opening,
        between=between,
        closing=closing,
        tariffs=tariffs,
        reissue_no=candidate.reissue_no,
        issue=issue,
        zone=zone,
        inputs=inputs_of_only(inputs, opening=opening, between=between, closing=closing),
        is_final=candidate.is_final,
    )
    return None if bill.whole and bill.whole.last else bill


def _with_intervals_together(bills: Sequence[MeasuredBill]) -> Iterator[MeasuredBill]:
    """The bills, where those of a tariff that have intervals of the same days share a table."""
    given = [(bill.tariffs[0].tariff_id, bill.metering.intervals) for bill in bills]
    shared = iter(in_one_table((of, one) for of, one in given if one is not None))
    for bill in bills:
        if bill.metering.intervals is None:
            yield bill
        else:
            yield replace(bill, metering=replace(bill.metering, intervals=next(shared)))


class _OneVersion:
    """Finds what is plain; what depends on the tariff and the days alone is worked out once."""

    def __init__(self, tariffs_of: TariffsOf, shortest_days: int) -> None:
        self._tariffs_of = tariffs_of
        self._shortest_days = shortest_days
        self._found: dict[tuple[str, date, date], TariffVersion | None] = {}

    def plain(self, candidate: BillCandidate) -> _Plain | None:
        """The candidate's use; None where its bill needs more."""
        opening, closing = candidate.opening, candidate.closing
        if (
            closing is None
            or candidate.spans
            or candidate.installations
            or candidate.between
            # Set where the tariff looks back, for more registers, for intervals and for true-ups.
            or candidate.pricing.model_fields_set
            or not opening.is_actual
            or closing.meter_id != opening.meter_id
            or closing.registers
            or closing.rolled_over
            or closing.register_wh < opening.register_wh
        ):
            return None
        version = self._version(candidate, opening.read_on, closing.read_on)
        if version is None:
            return None
        turned = closing.register_wh - opening.register_wh
        wh = (turned * candidate.multiplier_milli + 500) // 1000
        return _Plain(candidate, closing, version, wh)

    def _version(self, candidate: BillCandidate, start: date, end: date) -> TariffVersion | None:
        """The only version in force, if it makes one bill of these days that nothing holds."""
        key = candidate.tariff_id, start, end
        if key not in self._found:
            self._found[key] = self._sought(candidate, start, end)
        return self._found[key]

    def _sought(self, candidate: BillCandidate, start: date, end: date) -> TariffVersion | None:
        try:
            period = Period(start, end)
            within = versions_within(self._tariffs_of(candidate), period=period)
            tariff = within[0][0].tariff
        except (UnableToPriceBill, InvalidTariff, ValueError):
            return None
        length = BillLength.of(tariff)
        if (
            len(within) > 1
            or tariff.net_metering is not None
            or period.days > length.month
            or length.is_too_short(period.days, shortest=self._shortest_days)
            or why_held([tariff], period)
        ):
            return None
        return within[0][0]


def _rated(batch: Sequence[_Plain]) -> list[RatedBill]:
    """Each one's price; none at all where one of them cannot be priced."""
    each = [one.candidate.constants for one in batch]
    try:
        usage = UsageBatch(
            start=np.array([day_number(one.candidate.opening.read_on) for one in batch]),
            end=np.array([day_number(one.closing.read_on) for one in batch]),
            wh=np.array([one.wh for one in batch]),
            connected_w=_loads([constants.connected_w for constants in each]),
            connected_va=_loads([constants.connected_va for constants in each]),
        )
        return rate_each(tariff=batch[0].version.tariff, batch=usage)
    except UnableToPriceBill:
        return []


def _loads(loads: Sequence[int | None]) -> "np.ndarray | None":
    return None if loads[0] is None else np.array(loads)


def _bill(plain: _Plain, rated: RatedBill, issue: Issue | None) -> NewBill:
    candidate, closing = plain.candidate, plain.closing
    opening, constants = candidate.opening, candidate.constants
    return NewBill(
        id=bill_id(opening, reissue_no=candidate.reissue_no),
        agreement_id=candidate.agreement_id,
        segments=(Segment(constants, opening, closing),),
        segments_wh=(plain.wh,),
        tariff_version_id=plain.version.id,
        opening=opening,
        closing=closing,
        consumption_wh=plain.wh,
        rated=rated,
        reissue_no=candidate.reissue_no,
        issue=issue,
        usage=_snapshot(plain.wh, constants),
        priced_by=(plain.version.id,),
    )


def _snapshot(wh: int, constants: MeterConstants) -> dict[str, int] | None:
    """As services/metering/usage_snapshot.py keeps it: the total alone is not kept."""
    loads = {"connected_w": constants.connected_w, "connected_va": constants.connected_va}
    known = {name: load for name, load in loads.items() if load is not None}
    return {"wh": wh, **known} if known else None
