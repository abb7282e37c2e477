"""The files of a full export that imports take back, each with exactly their columns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.importing.by_kind.place_rows import POINT_COLUMNS, POINT_OPTIONS
from services.importing.kinds import COLUMNS_OF, TableKind
from services.importing.reads import READING_COLUMNS, READING_OPTIONS, REGISTER_PREFIX
from services.metering.registers import measure_of
from services.quantities.money import Money, scaled_text
from services.quantities.period import local_date, start_of_day

Row = dict[str, Any]
Cells = Sequence[object]
METERS_AT_ONCE: Final = 200
_AT_ONCE: Final = 5000


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file that an import takes back: its columns, and what a row of the database is there.

    `source` is the name of the rows in the database, `at_once` how many a page has.
    """

    kind: TableKind
    source: str
    columns: tuple[str, ...]
    rows_of: Callable[[Row], Iterator[Cells]]
    at_once: int = _AT_ONCE


def import_files(
    zone: ZoneInfo, registers: Sequence[str], *, today: date
) -> tuple[ImportFile, ...]:
    """The files in the order in which they are imported; `registers` are all that meters have."""

    def columns(kind: TableKind) -> tuple[str, ...]:
        return (*COLUMNS_OF[kind].required, *COLUMNS_OF[kind].optional)

    def named(kind: TableKind, cells: Callable[[Row], Row]) -> Callable[[Row], Iterator[Cells]]:
        names = columns(kind)

        def rows(row: Row) -> Iterator[Cells]:
            found = cells(row)
            yield [found.get(name) for name in names]

        return rows

    def file(kind: TableKind, cells: Callable[[Row], Row], source: str = "") -> ImportFile:
        return ImportFile(kind, source or kind, columns(kind), named(kind, cells))

    reads = (
        *READING_COLUMNS,
        *READING_OPTIONS,
        *(f"{REGISTER_PREFIX}{name}" for name in registers),
    )
    return (
        file("customers", lambda row: _customer(row, zone)),
        file("transformers", dict),
        file("service_points", _point),
        file("meters", _meter),
        ImportFile(
            "readings", "reads", reads, lambda row: _reads(row, registers, zone), METERS_AT_ONCE
        ),
        file("agreements", _agreement),
        file("balances", lambda row: _balance(row, today)),
        file("past_payments", _past_payment),
        file("past_payments", _past_payment, "payments"),
        ImportFile(
            "intervals",
            "intervals",
            columns("intervals"),
            lambda row: _intervals(row, zone),
            METERS_AT_ONCE,
        ),
        file("supplies", lambda row: row | {"energy_kwh": _kilo(row["energy_wh"])}),
    )


def _customer(row: Row, zone: ZoneInfo) -> Row:
    agreed = row["whatsapp_opt_in_at"]
    on = local_date(datetime.fromisoformat(agreed), zone).isoformat() if agreed else ""
    return row | {"whatsapp_opt_in": on}


def _point(row: Row) -> Row:
    loads = {"connected_kw": row["connected_w"], "connected_kva": row["connected_va"]}
    shown = {name: _kilo(value) if value else "" for name, value in loads.items()}
    return {name: row.get(name) for name in (*POINT_COLUMNS, *POINT_OPTIONS)} | shown


def _meter(row: Row) -> Row:
    return row | {
        "multiplier": scaled_text(row["multiplier_milli"], places=3, trim=True),
        "opening_kwh": _kilo(row["register_wh"]),
        "opened_on": row["read_on"],
        "registers": " ".join(_register(name, row) for name in row["registers"]),
    }


def _agreement(row: Row) -> Row:
    banked = sorted((row["banked"] or {}).items())
    return row | {
        "banked_kwh": " ".join(f"{name}={_kilo(wh)}" if name else _kilo(wh) for name, wh in banked)
    }


def _register(name: str, row: Row) -> str:
    """A register as `meters` takes it: with what it showed, unless it is reset at each read."""
    opening = row["opening_registers"].get(name)
    is_maximum = measure_of(name).is_maximum
    return name if is_maximum or opening is None else f"{name}={_kilo(opening)}"


def _reads(row: Row, registers: Sequence[str], zone: ZoneInfo) -> Iterator[Cells]:
    for read in row["reads"]:
        at = datetime.fromisoformat(read["read_at"]).astimezone(zone).isoformat()
        shown = [read["registers"].get(name) for name in registers]
        values = ["" if value is None else _kilo(value) for value in shown]
        yield [
            row["serial"],
            _kilo(read["register_wh"]),
            at,
            read["quality"],
            read["source"],
            *values,
        ]


def _balance(row: Row, today: date) -> Row:
    # A bill that is not due yet is owed today all the same.
    row = row | {"as_of": min(row["as_of"], today.isoformat())}
    is_deposit = row["book"] == "deposit"
    amount = Money(row["open_minor"], row["currency"])
    if is_deposit:
        held = Money(-row["open_minor"], row["currency"])
        return row | {"balance": Money(0, row["currency"]), "deposit": held}
    return row | {"balance": amount}


def _past_payment(row: Row) -> Row:
    return row | {"amount": Money(row["amount_minor"], row["currency"])}


def _intervals(row: Row, zone: ZoneInfo) -> Iterator[Cells]:
    start = start_of_day(date.fromisoformat(row["day"]), zone)
    minutes = row["minutes"]
    qualities = row["quality"] or [""] * len(row["wh"])
    for place, (wh, quality) in enumerate(zip(row["wh"], qualities, strict=True)):
        at = (start + timedelta(minutes=minutes * place)).astimezone(zone).isoformat()
        yield [row["serial"], at, _kilo(wh), minutes, quality]


def _kilo(value: int) -> str:
    return scaled_text(value, places=3, trim=True)
