"""The readings at which a meter comes or goes, or somebody moves: stored already, or typed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.languages.sentence import sentence
from services.metering.outcomes import Validation
from services.metering.register_arithmetic import check_fits_dials, is_a_fall
from services.metering.registers import check_registers, parse_registers, plain_registers
from services.quantities.energy import format_kwh
from services.quantities.period import local_date
from services.quantities.typed import typed_kwh
from services.readings.assessment import ReadingAssessor
from services.records.readings import Read
from services.records.supply import Place, PlacedMeter
from services.supply.changes import CannotChangeSupply, TypedRead

_NOON = time(12)
# A meter that goes on the day it came goes after it came.
_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class ReadAtChange:
    """A read that a change rests on; `row` is None where it is stored already."""

    read: Read
    row: dict[str, Any] | None
    validation: Validation


@dataclass(frozen=True, slots=True)
class ChangeReads:
    """Finds or takes the reads of changes; `now` is in UTC."""

    database: DatabaseService
    assessor: ReadingAssessor
    zone: ZoneInfo

    def at(
        self,
        *,
        place: Place,
        meter: PlacedMeter,
        on: date,
        typed: TypedRead,
        new_id: str,
        now: datetime,
        reason: str,
        user: str,
        after: datetime | None = None,
    ) -> ReadAtChange:
        """The read of a meter that is there on a local date, `after` an instant of that date.

        Raises CannotChangeSupply where there is none and none is given, or another is billed;
        InvalidEnergy, WrongRegisters, ReadingTooLong, InvalidReading for what was typed.
        """
        self.check_day(on, now=now)
        if on < meter.installed_on:
            raise CannotChangeSupply(
                sentence(
                    "Meter {meter} has been here since {day}: give that day or a later one.",
                    meter=meter.serial,
                    day=meter.installed_on,
                )
            )
        stored = [
            read
            for read in place.last_reads
            if read.meter_id == meter.meter_id
            and read.read_on == on
            and read.read_at > meter.installed_at
        ]
        value = typed_kwh(typed.kwh) if typed.kwh.strip() else None
        for read in stored:
            if value in (None, read.register_wh):
                return ReadAtChange(read, None, Validation(()))
        if stored:
            raise CannotChangeSupply(
                sentence(
                    "Meter {meter} was read on {day}: {kwh} kWh. Leave the reading empty to use "
                    "that one, or correct it first.",
                    meter=meter.serial,
                    day=on,
                    kwh=format_kwh(stored[0].register_wh),
                )
            )
        if value is None:
            raise CannotChangeSupply(
                sentence(
                    "Meter {meter} was not read on {day}: give what it showed.",
                    meter=meter.serial,
                    day=on,
                )
            )
        at = max(self.instant(on, now=now), meter.installed_at + _MOMENT)
        if after is not None and local_date(after, self.zone) == on:
            at = max(at, after + _MOMENT)
        return self._typed(
            meter, at=at, on=on, value=value, typed=typed, new_id=new_id, reason=reason, user=user
        )

    def opening(
        self,
        *,
        serial: str,
        dials: int,
        registers: Sequence[str],
        meter_id: str,
        at: datetime,
        typed: TypedRead,
        new_id: str,
        user: str,
    ) -> ReadAtChange:
        """The read at which a meter is installed."""
        if not typed.kwh.strip():
            raise CannotChangeSupply(
                sentence("Say what meter {meter} showed when it was installed.", meter=serial)
            )
        value = typed_kwh(typed.kwh)
        check_fits_dials(value, dials)
        shown = parse_registers(plain_registers(typed.registers))
        check_registers(shown, of_meter=registers, serial=serial, dials=dials)
        read = Read(
            id=new_id,
            meter_id=meter_id,
            read_at=at,
            read_on=local_date(at, self.zone),
            register_wh=value,
            registers=shown,
        )
        return ReadAtChange(read, _row(read, user, Validation(()), is_opening=True), Validation(()))

    def instant(self, on: date, *, now: datetime) -> datetime:
        """When on a local date: now if it is today, else at noon."""
        self.check_day(on, now=now)
        if on == local_date(now, self.zone):
            return now
        return datetime.combine(on, _NOON, tzinfo=self.zone).astimezone(UTC)

    def check_day(self, on: date, *, now: datetime) -> None:
        """Raise CannotChangeSupply for a day that has not come."""
        if on > local_date(now, self.zone):
            raise CannotChangeSupply(
                sentence(
                    "{day} has not come yet: enter this on the day, when the meter is read.", day=on
                )
            )

    def _typed(
        self,
        meter: PlacedMeter,
        *,
        at: datetime,
        on: date,
        value: int,
        typed: TypedRead,
        new_id: str,
        reason: str,
        user: str,
    ) -> ReadAtChange:
        read = Read(
            id=new_id,
            meter_id=meter.meter_id,
            read_at=at,
            read_on=on,
            register_wh=value,
            registers=parse_registers(plain_registers(typed.registers)),
            rolled_over=typed.rolled_over,
        )
        context = self.database.reading_context(
            meter_serial=meter.serial, read_at=read.read_at, read_on=on
        )
        # An estimate that came out too high is settled by this read.
        _check_in_order(meter, context.last_actual or context.last_read, read)
        _check_in_order(meter, read, context.next_read)
        validation = self.assessor.judge(context=context, read=read)
        return ReadAtChange(read, _row(read, user, validation, reason=reason), validation)


def _check_in_order(meter: PlacedMeter, before: Read | None, after: Read | None) -> None:
    """Raise CannotChangeSupply where the register fell between a typed read and one beside it.

    Elsewhere the rules doubt that, and a person decides; what a change rests on is right at once.
    """
    if before is None or after is None or after.rolled_over:
        return
    opening_wh, closing_wh = before.register_wh, after.register_wh
    if not is_a_fall(opening_wh=opening_wh, closing_wh=closing_wh, dials=meter.dials):
        return
    raise CannotChangeSupply(
        sentence(
            "Meter {meter} showed {opening_wh} kWh on {day} and cannot show {closing_wh} "
            "kWh on {day_2}: check what was typed, or correct the other reading first.",
            meter=meter.serial,
            opening_wh=format_kwh(opening_wh),
            day=before.read_on,
            closing_wh=format_kwh(closing_wh),
            day_2=after.read_on,
        )
    )


def _row(
    read: Read, user: str, validation: Validation, *, is_opening: bool = False, reason: str = ""
) -> dict[str, Any]:
    return {
        "id": read.id,
        "meter_id": read.meter_id,
        "read_at": read.read_at.isoformat(),
        "read_on": read.read_on.isoformat(),
        "register_wh": read.register_wh,
        "registers": read.registers,
        "rolled_over": read.rolled_over,
        "source": "field",
        "status": "accepted",
        "is_opening": is_opening,
        "submitted_by": user,
        "validation": validation.to_json(),
        "decision_reason": reason or None,
    }
