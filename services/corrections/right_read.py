"""The right read in the place of a wrong one: its value, its registers, its date."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.corrections.affected_bills import CannotRebill
from services.corrections.plan import WrongReading
from services.languages.sentence import sentence
from services.metering.outcomes import Validation
from services.metering.registers import parse_registers, plain_registers
from services.quantities.period import start_of_day
from services.quantities.typed import typed_kwh
from services.records.corrections import BillChain
from services.records.readings import Reading

AT_A_CHANGE: Final = sentence(
    "At this reading a meter came or went, or somebody moved: its date is that of the change. Undo "
    "the change, and enter it with the right date."
)


def right_of(
    wrong: WrongReading, read: Reading, new_id: str, zone: ZoneInfo, *, now: datetime
) -> Reading | None:
    """The read as it truly was, under a new id; None where it is withdrawn.

    Raises CannotRebill where nothing differs, InvalidEnergy, WrongRegisters.
    """
    if wrong.reading_kwh is None:
        return None
    registers = read.registers
    if wrong.registers is not None:
        registers = parse_registers(plain_registers(wrong.registers))
    register_wh = typed_kwh(wrong.reading_kwh)
    read_on = wrong.read_on or read.read_on
    said = (register_wh, registers, wrong.rolled_over, read_on)
    if said == (read.register_wh, read.registers, read.rolled_over, read.read_on):
        raise CannotRebill(sentence("That is what is stored: there is nothing to correct."))
    values: dict[str, Any] = {"id": new_id, "register_wh": register_wh, "registers": registers}
    values["rolled_over"] = wrong.rolled_over
    if read.source == "estimated":
        # Whoever corrects an estimate says what the meter showed.
        values["source"] = "field"
    if read_on != read.read_on:
        values |= {
            "read_on": read_on,
            "read_at": on_other_day(read.read_at, read_on, zone, now=now),
        }
    return read.model_copy(update=values)


def row_of(right: Reading | None, validation: Validation | None) -> dict[str, Any] | None:
    """The values of the right read; the rest it has of the wrong one."""
    if right is None:
        return None
    return {
        "id": right.id,
        "read_at": right.read_at.isoformat(),
        "read_on": right.read_on.isoformat(),
        "register_wh": right.register_wh,
        "registers": right.registers,
        "rolled_over": right.rolled_over,
        "validation": validation.to_json() if validation else {},
    }


def on_other_day(read_at: datetime, day: date, zone: ZoneInfo, *, now: datetime) -> datetime:
    """The instant (UTC) at the same time of day on another local date.

    Where that is still to come, it is the start of the day, the same each time that it is asked.
    """
    local = read_at.astimezone(zone)
    moved = datetime.combine(day, local.time(), tzinfo=zone).astimezone(UTC)
    return moved if moved <= now else start_of_day(day, zone)


def check_date(chain: BillChain, wrong: Reading, right: Reading, *, now: datetime) -> None:
    """Raise CannotRebill where a read of a chain cannot have been taken on the right date."""
    at_a_change = wrong.id in {*_of_installations(chain), *_of_agreement(chain)}
    others = [read for read in chain.reads if read.id != wrong.id]
    before = [read for read in others if read.read_at < wrong.read_at]
    after = [read for read in others if read.read_at > wrong.read_at]
    check_day(
        right,
        now=now,
        at_a_change=at_a_change,
        before=before[-1] if before else None,
        after=after[0] if after else None,
    )


def check_day(
    right: Reading,
    *,
    now: datetime,
    at_a_change: bool,
    before: Reading | None,
    after: Reading | None,
) -> None:
    """Raise CannotRebill where a read cannot have its date, given the accepted reads beside it.

    `at_a_change` is one at which a meter came or went, or somebody moved.
    """
    if right.read_at > now:
        raise CannotRebill(sentence("{day} is still to come.", day=right.read_on))
    if at_a_change:
        raise CannotRebill(AT_A_CHANGE)
    if before is not None and right.read_on <= before.read_on:
        raise CannotRebill(
            sentence(
                "The reading before it is of {day}: its date must be later.",
                day=before.read_on,
            )
        )
    if after is not None and right.read_on >= after.read_on:
        raise CannotRebill(
            sentence(
                "The next reading is of {day}: its date must be earlier.",
                day=after.read_on,
            )
        )


def _of_installations(chain: BillChain) -> Iterator[str]:
    for one in chain.installations:
        yield from (read.id for read in (one.opening, one.closing) if read is not None)


def _of_agreement(chain: BillChain) -> Iterator[str]:
    for bill in chain.bills:
        if bill.period_start == chain.starts_on:
            yield bill.opening_reading_id
        if bill.period_end == chain.ends_on:
            yield bill.closing_reading_id
