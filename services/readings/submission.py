"""A reading as somebody hands it in, checked at the edge before anything else looks at it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from services.languages.sentence import N_, sentence, sentence_of
from services.metering.registers import WrongRegisters, parse_registers
from services.quantities.energy import InvalidEnergy, parse_kwh
from services.quantities.period import local_date

CLOCK_ALLOWANCE = timedelta(minutes=5)
EARLIEST = datetime.fromisoformat("1990-01-01T00:00:00+00:00")


CONNECTED_LATER = N_("Meter {meter} was connected on {day}; the reading is dated before that.")


class InvalidReading(ValueError):
    """The submission cannot be a reading; the message says why, for the person at the meter."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value.strip()


class _Form(BaseModel):
    """The least that every submission has, before its meaning is checked."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    meter_serial: Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=60)]
    reading_kwh: Any
    read_at: Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=40)]
    idempotency_key: (
        Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=200)] | None
    ) = None
    registers: dict[str, Any] = {}


_PROBLEMS = {
    "meter_serial": N_(
        "Say which meter was read: meter_serial must be a text of 1 to 60 characters."
    ),
    "reading_kwh": N_("Say what the meter shows: reading_kwh is missing."),
    "read_at": "Say when the meter was read: read_at is a date and time such as 2026-03-01T10:30.",
    "idempotency_key": "idempotency_key must be a text of 1 to 200 characters.",
    "registers": 'registers must name what each register shows: {"peak": "123.4"}.',
}


@dataclass(frozen=True, slots=True)
class Submission:
    """One reading: a meter's register value in Wh at an instant (UTC) on a local date.

    `registers` are what its further registers show, by name (services/metering/registers.py).
    """

    meter_serial: str
    register_wh: int
    read_at: datetime
    read_on: date
    idempotency_key: str | None = None
    registers: Mapping[str, int] = field(default_factory=dict)

    @property
    def body_hash(self) -> str:
        """What the same idempotency key must come with again."""
        body = f"{self.meter_serial}\n{self.register_wh}\n{self.read_at.isoformat()}"
        body += "".join(f"\n{name} {value}" for name, value in sorted(self.registers.items()))
        return hashlib.sha256(body.encode()).hexdigest()


def parse_submission(body: Mapping[str, Any], *, zone: ZoneInfo, now: datetime) -> Submission:
    """Check what a form or an HTTP body holds; `read_at` without a zone is local.

    A reading up to five minutes ahead of `now` (UTC) is forgiven, for clocks differ.
    Raises InvalidReading with a sentence for the person who sent it.
    """
    try:
        form = _Form.model_validate(dict(body))
    except ValidationError as error:
        raise InvalidReading(_problem(error)) from None
    read_at = _instant(form.read_at, zone=zone)
    if read_at > now + CLOCK_ALLOWANCE:
        when = f"{read_at.astimezone(zone):%d %b %Y %H:%M}"
        raise InvalidReading(
            sentence("The reading is dated {when}, which is in the future.", when=when)
        )
    if read_at < EARLIEST:
        raise InvalidReading(
            sentence(
                "The reading is dated {when}, too long ago.",
                when=f"{read_at.astimezone(zone):%d %b %Y}",
            )
        )
    try:
        register_wh = parse_kwh(_number(form.reading_kwh))
        registers = parse_registers(
            {name: _number(v, f"register {name[:60]}") for name, v in form.registers.items()}
        )
    except (InvalidEnergy, WrongRegisters) as error:
        raise InvalidReading(sentence_of(error)) from None
    return Submission(
        meter_serial=form.meter_serial,
        register_wh=register_wh,
        read_at=read_at,
        read_on=local_date(read_at, zone),
        idempotency_key=form.idempotency_key,
        registers=registers,
    )


def _problem(error: ValidationError) -> str:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    return _PROBLEMS.get(name, f"There is no field called {name[:60]!r} in a reading.")


def _number(value: Any, what: str = "reading") -> str | int | Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise InvalidReading(
            sentence("The {what} must be a number, such as 1117 or 1117.5.", what=sentence(what))
        )
    return value


def _instant(text: str, *, zone: ZoneInfo) -> datetime:
    try:
        written = datetime.fromisoformat(text)
        if written.tzinfo is not None:
            return written.astimezone(UTC)
        read_at = written.replace(tzinfo=zone).astimezone(UTC)
        shown = read_at.astimezone(zone).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise InvalidReading(f"{_PROBLEMS['read_at'][:-1]}, not {text!r}.") from None
    # A bare date is the start of its day, also where clocks skip midnight.
    if shown != written and written.time() != time.min:
        raise InvalidReading(
            sentence(
                "{when} does not exist: the clock goes forward over it that day.",
                when=f"{written:%d %b %Y %H:%M}",
            )
        )
    return read_at
