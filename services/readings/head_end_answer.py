"""What a head-end answered for a meter, checked before it may be a reading of it.

The rules of a reading come after this, with the story; here stands what no meter can have sent.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.languages.sentence import sentence, sentence_of
from services.quantities.energy import InvalidEnergy, format_kwh, parse_kwh
from services.readings.submission import InvalidReading, Submission, parse_submission
from services.records.readings import Meter

# How many thousandths of the unit of `reading_kwh` one of these units has.
_UNITS: Final = {"kwh": 1000, "wh": 1}


def submission_of(
    answer: Mapping[str, Any], *, meter: Meter, zone: ZoneInfo, now: datetime, max_age: timedelta
) -> Submission:
    """The answer as a reading of `meter` at `now` (UTC). Raises InvalidReading with a sentence.

    Of registers that are not read of this meter nothing is taken: head-ends send all there are.
    """
    if answer.get("serial") != meter.serial:
        raise InvalidReading(
            sentence("The answer is for another meter than {meter}.", meter=meter.serial)
        )
    unit = _unit_of(answer)
    registers = answer.get("registers", {})
    if isinstance(registers, Mapping):
        registers = {
            name: _in_kwh(value, unit)
            for name, value in registers.items()
            if name.lower() in meter.registers
        }
    submission = parse_submission(
        {
            "meter_serial": meter.serial,
            "reading_kwh": _in_kwh(answer.get("reading_kwh"), unit),
            "read_at": answer.get("read_at"),
            "registers": registers,
        },
        zone=zone,
        now=now,
    )
    _check_time(str(answer["read_at"]), submission, now=now, max_age=max_age)
    return submission


def check_not_before(submission: Submission, *, last_read_at: datetime | None) -> None:
    """Refuse a reading from before the last one (UTC) of its meter. Raises InvalidReading."""
    if last_read_at is not None and submission.read_at < last_read_at:
        raise InvalidReading(
            sentence(
                "The reading is dated {day}, which is before the last one of this meter.",
                day=submission.read_on,
            )
        )


def _unit_of(answer: Mapping[str, Any]) -> int:
    unit = answer.get("unit", "kWh")
    found = _UNITS.get(unit.strip().lower()) if isinstance(unit, str) else None
    if found is None:
        raise InvalidReading(
            sentence("The unit must be kWh or Wh, not {typed}.", typed=repr(str(unit)[:20]))
        )
    return found


def _in_kwh(value: Any, unit: int) -> Any:
    """The value as kWh; what is no number stays as it is and is refused later."""
    if unit == 1000 or isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return value
    try:
        thousandths = parse_kwh(value)
    except InvalidEnergy as error:
        raise InvalidReading(sentence_of(error)) from None
    wh, rest = divmod(thousandths, 1000)
    if rest:
        raise InvalidReading(sentence("The reading is in Wh and must be a whole number."))
    return format_kwh(wh)


def _check_time(written: str, submission: Submission, *, now: datetime, max_age: timedelta) -> None:
    if datetime.fromisoformat(written.strip()).tzinfo is None:
        raise InvalidReading(
            sentence("The reading's time has no time zone: nobody can say when it was.")
        )
    if submission.read_at < now - max_age:
        raise InvalidReading(
            sentence(
                "The reading is dated {day}, which is too long ago: the meter was not read again.",
                day=submission.read_on,
            )
        )
