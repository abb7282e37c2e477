"""Cutting a supply, bringing it back with a fee, and taking either back."""

from dataclasses import replace
from datetime import date
from typing import Any, Final

from services.languages.sentence import N_, sentence
from services.metering.outcomes import Validation
from services.metering.register_arithmetic import consumption_wh
from services.metering.segments import segments_between
from services.payments.entry_forms import amount_above_zero
from services.quantities.energy import kwh_value
from services.records.corrections import BillChain
from services.records.readings import Segment
from services.records.supply import Disconnection, Place, ServiceAgreement, SupplyChangeKind
from services.supply.changes import (
    CannotChangeSupply,
    Disconnect,
    NotDisconnected,
    NotReconnected,
    Reconnect,
)
from services.supply.plan import SupplyPlan, doubts_of
from services.supply.planning import Planning, since_of
from services.supply.reads import ReadAtChange

# A meter whose supply is cut stands still.
_EXPECTED: Final = frozenset({"zero_use", "low_use"})

_WITHOUT_A_FEE: Final = N_(
    "{customer} is billed up to {day}, beyond {beyond}: reconnect them without a fee instead, or "
    "void that bill first."
)
_AGAIN: Final = N_(
    "{customer} is billed up to {day}, beyond {beyond}: disconnect them again instead, or void "
    "that bill first."
)


def plan_disconnection(
    change: Disconnect | Reconnect | NotDisconnected | NotReconnected, planning: Planning
) -> SupplyPlan:
    """What one of these changes does; raises CannotChangeSupply, InvalidEntry for the fee."""
    match change:
        case Disconnect():
            return _plan_disconnect(change, planning)
        case Reconnect():
            return _plan_reconnect(change, planning)
        case NotDisconnected():
            return _plan_not_disconnected(change, planning)
        case NotReconnected():
            return _plan_not_reconnected(change, planning)


def _plan_disconnect(change: Disconnect, planning: Planning) -> SupplyPlan:
    """The supply is cut at a read; the agreement, and what is charged by the day, go on."""
    place = planning.place(change.service_point_id, on=change.on)
    agreement = planning.agreement_of(place, on=change.on)
    last = place.disconnection
    if last is not None and last.reconnected_on is None:
        raise CannotChangeSupply(
            sentence(
                "{place} has been disconnected since {day} already.",
                place=place.point.code,
                day=last.disconnected_on,
            )
        )
    if last is not None and last.reconnected_on is not None and change.on < last.reconnected_on:
        raise CannotChangeSupply(
            sentence(
                "They were reconnected on {day}: give that day or a later one.",
                day=last.reconnected_on,
            )
        )
    _check_not_billed(agreement, change.on)
    read = planning.read_of(place, planning.meter_of(place), change.on, change.read)
    chain = planning.chain(agreement, since=change.on)
    disconnection = {"id": planning.new_id("disconnection"), "reading_id": read.read.id}
    return _plan(
        place,
        agreement=agreement,
        chain=chain,
        kind="disconnect",
        on=change.on,
        disconnection=disconnection,
        read=read,
    )


def _plan_reconnect(change: Reconnect, planning: Planning) -> SupplyPlan:
    """The supply comes back at a read, with a fee or without; use in between is for the holder."""
    place = planning.place(change.service_point_id, on=change.on)
    agreement = planning.agreement_of(place, on=change.on)
    last = _disconnected(place)
    if change.on < last.disconnected_on:
        raise CannotChangeSupply(
            sentence(
                "They were disconnected on {day}: give that day or a later one.",
                day=last.disconnected_on,
            )
        )
    _check_not_billed(agreement, change.on)
    read = planning.read_of(place, planning.meter_of(place), change.on, change.read)
    chain = planning.chain(agreement, since=last.disconnected_on)
    used_wh = _used_wh(last, read, chain)
    disconnection = {
        "id": last.id,
        "reading_id": read.read.id,
        "fee": _fee(change, agreement, chain, planning),
    }
    plan = _plan(
        place,
        agreement=agreement,
        chain=chain,
        kind="reconnect",
        on=change.on,
        disconnection=disconnection,
        read=read,
    )
    outcomes = tuple(o for o in read.validation.outcomes if o.rule not in _EXPECTED)
    doubts = doubts_of(Validation(outcomes))
    if used_wh:
        doubts = (_tampering(used_wh, last, change.on), *doubts)
        details = {**plan.rows["details"], "used_wh": used_wh}
        plan = replace(plan, rows={**plan.rows, "details": details})
    return replace(plan, doubts=doubts)


def _plan_not_disconnected(change: NotDisconnected, planning: Planning) -> SupplyPlan:
    """They were not disconnected, or at another place; the read of the day stays."""
    place = planning.database.place(change.service_point_id)
    last = _disconnected(place)
    agreement = planning.agreement_of(place, on=last.disconnected_on)
    _check_not_billed_over(agreement, last.disconnected_on, _WITHOUT_A_FEE)
    chain = planning.chain(agreement, since=last.disconnected_on)
    on = last.disconnected_on
    return _plan(
        place,
        agreement=agreement,
        chain=chain,
        kind="not_disconnected",
        on=on,
        disconnection={"id": last.id},
    )


def _plan_not_reconnected(change: NotReconnected, planning: Planning) -> SupplyPlan:
    """They were not reconnected: they are disconnected as before, and the fee is taken back."""
    place = planning.database.place(change.service_point_id)
    last = place.disconnection
    if last is None or last.reconnected_on is None:
        raise CannotChangeSupply(
            sentence("Nobody was reconnected at {place}.", place=place.point.code)
        )
    on = last.reconnected_on
    agreement = planning.agreement_of(place, on=on)
    _check_not_billed_over(agreement, on, _AGAIN)
    chain = planning.chain(agreement, since=on)
    plan = _plan(
        place,
        agreement=agreement,
        chain=chain,
        kind="not_reconnected",
        on=on,
        disconnection={"id": last.id},
    )
    details = {**plan.rows["details"], "fee_taken_back": last.fee_entry_id is not None}
    return replace(plan, rows={**plan.rows, "details": details})


def _plan(
    place: Place,
    *,
    agreement: ServiceAgreement,
    chain: BillChain,
    kind: SupplyChangeKind,
    on: date,
    disconnection: dict[str, Any],
    read: ReadAtChange | None = None,
) -> SupplyPlan:
    rows: dict[str, Any] = {
        "service_point_id": place.point.id,
        "effective_on": on.isoformat(),
        "readings": [read.row] if read and read.row else [],
        "disconnection": disconnection,
        "details": {"customer": agreement.customer_name, "account_no": agreement.account_no},
    }
    return SupplyPlan(
        kind,
        rows,
        place=place,
        chain=chain,
        chain_from=since_of(chain, ()),
        doubts=doubts_of(read.validation) if read else (),
    )


def _disconnected(place: Place) -> Disconnection:
    """The disconnection that lasts; raises CannotChangeSupply where there is none."""
    last = place.disconnection
    if last is None or last.reconnected_on is not None:
        raise CannotChangeSupply(sentence("{place} is not disconnected.", place=place.point.code))
    return last


def _check_not_billed(agreement: ServiceAgreement, on: date) -> None:
    until = agreement.billed_until
    if until is not None and on < until:
        raise CannotChangeSupply(
            sentence(
                "{customer} is billed up to {day}: give that day or a later one, or void "
                "that bill first.",
                customer=agreement.customer_name,
                day=until,
            )
        )


def _check_not_billed_over(agreement: ServiceAgreement, on: date, instead: str) -> None:
    until = agreement.billed_until
    if until is not None and on < until:
        raise CannotChangeSupply(
            sentence(instead, customer=agreement.customer_name, day=until, beyond=on)
        )


def _used_wh(last: Disconnection, read: ReadAtChange, chain: BillChain) -> int:
    """Wh that the meters counted while the supply was cut; raises CannotChangeSupply for a fall."""
    segments = segments_between(
        opening=last.disconnected,
        closing=read.read,
        installations=chain.installations,
        constants=chain.meter.constants,
    )
    if read.read.id == last.disconnected.id:
        return 0
    _check_not_below(segments[-1])
    return sum(_measured_wh(segment) for segment in segments)


def _check_not_below(segment: Segment) -> None:
    opening, closing = segment.opening, segment.closing
    if closing.register_wh < opening.register_wh and not closing.rolled_over:
        raise CannotChangeSupply(
            sentence(
                "The meter showed {kwh} kWh on {day}, while it was disconnected: a reading "
                "below that is wrong, unless the register rolled over. Check it, or say that "
                "it did.",
                kwh=kwh_value(opening.register_wh),
                day=opening.read_on,
            )
        )


def _measured_wh(segment: Segment) -> int:
    return consumption_wh(
        opening_wh=segment.opening.register_wh,
        closing_wh=segment.closing.register_wh,
        dials=segment.constants.dials,
        multiplier_milli=segment.constants.multiplier_milli,
    )


def _tampering(used_wh: int, last: Disconnection, on: date) -> str:
    return sentence(
        "The meter counted {kwh} kWh between {start} and {end}, while it was disconnected: "
        "suspected tampering.",
        kwh=kwh_value(used_wh),
        start=last.disconnected_on,
        end=on,
    )


def _fee(
    change: Reconnect, agreement: ServiceAgreement, chain: BillChain, planning: Planning
) -> dict[str, Any] | None:
    if not change.fee.strip():
        return None
    fee = amount_above_zero(
        change.fee.strip(),
        currency=agreement.currency or chain.versions[0].currency,
        otherwise=sentence("Leave it empty to charge none."),
    )
    return {
        "id": planning.new_id("fee"),
        "amount_minor": fee.minor,
        "currency": fee.currency,
        "note": sentence("Reconnection on {day}", day=change.on),
    }
