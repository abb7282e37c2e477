"""A route's round as a file for devices of others, which the import of readings takes back."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final, Literal

from services.quantities.energy import format_kwh
from services.quantities.spreadsheet import csv_file, xlsx_file
from services.readings.expected import expected_text
from services.readings.round import DueMeter

FileKind = Literal["csv", "xlsx"]

_WRITERS: Final = {"csv": csv_file, "xlsx": xlsx_file}
_COLUMNS: Final = (
    "meter_serial",
    "reading_kwh",
    "read_at",
    "place_in_order",
    "due",
    "supplied_customer",
    "supply_address",
    "how_to_get_in",
    "asked_again_because",
    "shown_last_time",
    "seen_last_on",
    "expected_from",
    "expected_to",
    "expected",
    "waits_for_review",
)


def round_file(meters: Sequence[DueMeter], kind: FileKind) -> bytes:
    """The meters in their order, with empty cells for what each of them shows and when.

    A column such as register:peak stands for each further register. Rows that stay empty are left
    out by the import.
    """
    registers = list(dict.fromkeys(name for due in meters for name in due.meter.registers))
    columns = (*_COLUMNS[:3], *(f"register:{name}" for name in registers), *_COLUMNS[3:])
    return _WRITERS[kind](columns, _rows(meters, len(registers)))


def _rows(meters: Sequence[DueMeter], registers: int) -> Iterator[Sequence[object]]:
    for due in meters:
        meter, last, expected = due.meter, due.meter.last_read, due.expected
        yield (
            meter.serial,
            "",
            "",
            *[""] * registers,
            "" if meter.sequence is None else Decimal(meter.sequence),
            "yes" if meter.is_due else "no",
            meter.customer_name or "",
            meter.address,
            meter.access_note,
            meter.request.reason if meter.request else "",
            _kwh(last.register_wh) if last else "",
            last.read_on if last else "",
            _kwh(expected.low_wh) if expected else "",
            _kwh(expected.high_wh // 1000 * 1000) if expected else "",
            expected_text(expected, dials=meter.dials),
            "yes" if meter.waits or meter.waiting else "no",
        )


def _kwh(wh: int) -> Decimal:
    return Decimal(format_kwh(wh))
