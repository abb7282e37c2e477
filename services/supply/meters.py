"""Exchanging a meter, and another multiplying factor of the one that is there."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from services.importing.report import ImportProblem
from services.importing.table import Cells
from services.languages.sentence import nsentence, sentence
from services.quantities.energy import parse_multiplier
from services.records.corrections import BillChain
from services.records.imports import MeterReads
from services.records.readings import Installation, Read
from services.records.supply import Place, PlacedMeter
from services.supply.changes import CannotChangeSupply, Exchange, OtherMultiplier
from services.supply.plan import SupplyPlan, doubts_of
from services.supply.planning import Planning, since_of
from services.supply.reads import ReadAtChange


def plan_exchange(change: Exchange, planning: Planning) -> SupplyPlan:
    """The last read of the old meter and the first of the new one; the next bill runs over both."""
    place = planning.place(change.service_point_id, on=change.on)
    old = planning.meter_of(place)
    _check_not_billed(place, old, change.on)
    serial = _serial_of(change)
    known = planning.database.meter_reads(serials=[serial], every_status=True) if serial else []
    # One that came from elsewhere on the same day was removed there first.
    went = [until for one in known for i in one.installed if (until := i.until) is not None]
    last = planning.read_of(place, old, change.on, change.last, after=max(went, default=None))
    meter_id, new_meter, registers = _new_meter(change, serial, old, planning, known)
    multiplier_milli = parse_multiplier(change.multiplier.strip() or "1")
    first = planning.reads.opening(
        serial=serial,
        dials=change.dials,
        registers=registers,
        meter_id=meter_id,
        at=last.read.read_at,
        typed=change.first,
        new_id=planning.new_id("first"),
        user=planning.user,
    )
    rows: dict[str, Any] = {
        "service_point_id": place.point.id,
        "effective_on": change.on.isoformat(),
        "new_meter": new_meter,
        "readings": [row for row in (last.row, first.row) if row],
        "remove": _removal(old, last),
        "install": _installation(planning, meter_id, first.read, multiplier_milli),
        "details": {"removed": old.serial, "installed": serial},
    }
    return SupplyPlan("exchange", rows, place=place, doubts=doubts_of(last.validation))


def plan_multiplier(change: OtherMultiplier, planning: Planning) -> SupplyPlan:
    """The same meter with another factor from a read on; bills beyond that are priced again."""
    place = planning.place(change.service_point_id, on=change.on)
    meter = planning.meter_of(place)
    multiplier_milli = parse_multiplier(change.multiplier.strip())
    if multiplier_milli == meter.multiplier_milli:
        raise CannotChangeSupply(
            sentence("Meter {meter} has this multiplier already.", meter=meter.serial)
        )
    read = planning.read_of(place, meter, change.on, change.read)
    if read.read.read_at <= meter.installed_at:
        raise CannotChangeSupply(
            sentence(
                "That is the day on which the meter was installed: give a later day, or "
                "correct what was entered then."
            )
        )
    rows: dict[str, Any] = {
        "service_point_id": place.point.id,
        "effective_on": change.on.isoformat(),
        "readings": [read.row] if read.row else [],
        "remove": _removal(meter, read) | {"same_meter": meter.meter_id},
        "install": _installation(planning, meter.meter_id, read.read, multiplier_milli),
        "details": {"meter": meter.serial, "multiplier_milli": multiplier_milli},
    }
    agreement = place.agreement
    if agreement is None:
        return SupplyPlan("multiplier", rows, place=place, doubts=doubts_of(read.validation))
    chain = planning.chain(agreement, since=change.on)
    after = _split(chain, read.read, multiplier_milli)
    changes = planning.bills_since(
        after, since=change.on, why=sentence("It is priced by the other multiplier.")
    )
    return SupplyPlan(
        "multiplier",
        rows,
        place=place,
        chain=chain,
        chain_from=since_of(chain, changes),
        changes=changes,
        doubts=doubts_of(read.validation),
    )


def _split(chain: BillChain, read: Read, multiplier_milli: int) -> BillChain:
    """With the installation that lasts ended at a read, and one that goes on from there."""
    *earlier, current = chain.installations
    ended = current.model_copy(update={"closing": read})
    goes_on = Installation(
        meter_id=current.meter_id,
        dials=current.dials,
        multiplier_milli=multiplier_milli,
        connected_w=current.connected_w,
        connected_va=current.connected_va,
        opening=read,
        closing=None,
    )
    return chain.model_copy(update={"installations": (*earlier, ended, goes_on)})


def _removal(meter: PlacedMeter, read: ReadAtChange) -> dict[str, Any]:
    return {
        "installation_id": meter.id,
        "removed_at": read.read.read_at.isoformat(),
        "removed_on": read.read.read_on.isoformat(),
        "closing_reading_id": read.read.id,
    }


def _installation(
    planning: Planning, meter_id: str, read: Read, multiplier_milli: int
) -> dict[str, Any]:
    return {
        "id": planning.new_id("installation"),
        "meter_id": meter_id,
        "installed_at": read.read_at.isoformat(),
        "installed_on": read.read_on.isoformat(),
        "multiplier_milli": multiplier_milli,
        "opening_reading_id": read.id,
    }


def _serial_of(change: Exchange) -> str:
    """The serial of the new meter, by the rules of imports."""
    problems: list[ImportProblem] = []
    serial = Cells(1, {"serial": change.serial.strip()}, problems).identifier(
        "serial", required=False
    )
    if problems:
        serial_in_words, why = sentence("The meter's serial"), problems[0].message
        raise CannotChangeSupply(sentence("{place} {why}", place=serial_in_words, why=why))
    return serial


def _new_meter(
    change: Exchange,
    serial: str,
    old: PlacedMeter,
    planning: Planning,
    known: Sequence[MeterReads],
) -> tuple[str, dict[str, Any] | None, tuple[str, ...]]:
    """The meter's id, its row where it is not known yet, and its further registers."""
    if not serial:
        raise CannotChangeSupply(sentence("Give the serial of the new meter."))
    if serial == old.serial:
        raise CannotChangeSupply(
            sentence("Meter {meter} is the one that is there already.", meter=serial)
        )
    if not known:
        meter_id = planning.new_id("meter")
        row: dict[str, Any] = {"id": meter_id, "serial": serial, "kind": change.kind}
        row |= {"dials": change.dials, "registers": list(change.first.registers)}
        return meter_id, row, tuple(change.first.registers)
    if any(one.until is None for one in known[0].installed):
        raise CannotChangeSupply(
            sentence(
                "Meter {meter} is installed at another place: remove it there first.", meter=serial
            )
        )
    if known[0].dials != change.dials:
        raise CannotChangeSupply(
            nsentence(
                "Meter {meter} is known, with {count} digit.",
                "Meter {meter} is known, with {count} digits.",
                known[0].dials,
                meter=serial,
            )
        )
    return known[0].id, None, known[0].registers


def _check_not_billed(place: Place, old: PlacedMeter, on: date) -> None:
    agreement = place.agreement
    if agreement and agreement.billed_until and on < agreement.billed_until:
        until = agreement.billed_until
        raise CannotChangeSupply(
            sentence(
                "Meter {meter} is billed up to {day} by a reading after that day: correct or "
                "void that bill first, or give that day or a later one.",
                meter=old.serial,
                day=until,
            )
        )
