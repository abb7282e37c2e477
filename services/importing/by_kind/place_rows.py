"""What the cells of a service point's or an agreement's row must be, and the database's row."""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.importing.report import ImportProblem
from services.importing.rows import connected_load, parse_day
from services.importing.table import TAKE_AWAY, Cells
from services.languages.sentence import N_, sentence
from services.quantities.energy import parse_kwh
from services.quantities.money import Money
from services.quantities.period import local_date
from services.records.tariffs import TariffVersion
from services.tariffs import net_calendar

POINT_COLUMNS = ("code",)
POINT_OPTIONS = (
    "address",
    "transformer_code",
    "transformer_since",
    "route",
    "sequence",
    "phases",
    "connected_kw",
    "connected_kva",
    "access_note",
)
POINT_NUMBERS = ("connected_kw", "connected_kva")
POINT_DATES = ("transformer_since",)
AGREEMENT_COLUMNS = ("service_point", "account_no", "tariff_code", "starts_on")
# `banked_kwh` is 130.5, or by period of the tariff: peak=20 off_peak=30.
AGREEMENT_OPTIONS = ("ends_on", "deposit", "tariff_from", "billing_day", "banked_kwh")
AGREEMENT_NUMBERS = ("deposit", "banked_kwh")
AGREEMENT_DATES = ("starts_on", "ends_on", "tariff_from")

_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_LOADS: Final = (("connected_kw", "connected_w"), ("connected_kva", "connected_va"))
# What all rows of an agreement say alike, and the column that says it.
_ALONG_AN_AGREEMENT: Final = (
    ("account_no", "account_no"),
    ("ends_on", "ends_on"),
    ("deposit_minor", "deposit"),
    ("opening_bank", "banked_kwh"),
)
_MOST_BANKED_WH: Final = 10**15
Row = dict[str, Any]


def point_row(cells: Cells, *, today: date) -> Row:
    """A place of supply as import_service_points takes it; the sign - takes a value away.

    `today` is the utility's: no place was moved to another transformer after it.
    """
    row: Row = {"row": cells.row, "code": cells.identifier("code")}
    row["address"] = cells.lines("address", most=400)
    row["route"] = cells.changed("route", most=60)
    row["access_note"] = cells.lines("access_note", most=400)
    if transformer := cells.values.get("transformer_code"):
        taken_away = transformer == TAKE_AWAY
        row["transformer_code"] = "" if taken_away else cells.identifier("transformer_code")
    if cells.values.get("transformer_since"):
        moved_on = cells.parsed("transformer_since", lambda text: _moved_on(text, today))
        row["moved_on"] = moved_on.isoformat() if moved_on else None
        if not transformer:
            why = sentence("says since when, but not on which transformer.")
            cells.refuse("transformer_since", why)
    for column, parse in (("sequence", _sequence), ("phases", _phases)):
        if text := cells.values.get(column):
            row[column] = None if text == TAKE_AWAY else cells.parsed(column, parse)
    for column, name in _LOADS:
        if text := cells.values.get(column):
            row[name] = None if text == TAKE_AWAY else cells.parsed(column, connected_load)
    return row


def agreement_row(
    cells: Cells, *, zone: ZoneInfo, now: datetime, tariffs: Mapping[str, TariffVersion]
) -> Row:
    """An agreement as import_agreements takes it; `tariffs` are their last versions by code."""
    place = cells.identifier("service_point")
    tariff = cells.identifier("tariff_code", most=64)
    starts_on = cells.parsed("starts_on", lambda text: _day_so_far(text, local_date(now, zone)))
    row: Row = {
        "row": cells.row,
        "service_point": place,
        "account_no": cells.identifier("account_no"),
        "tariff_code": tariff,
        "starts_on": starts_on.isoformat() if starts_on else None,
    }
    if cells.values.get("ends_on"):
        ends_on = cells.parsed("ends_on", lambda text: _end(text, starts_on))
        row["ends_on"] = ends_on.isoformat() if ends_on else None
    if cells.values.get("tariff_from"):
        since = cells.parsed("tariff_from", parse_day)
        row["tariff_from"] = since.isoformat() if since else None
    if cells.values.get("billing_day"):
        row["billing_day"] = cells.parsed("billing_day", _billing_day)
    # Of an unknown tariff the row is refused anyway.
    if known := tariffs.get(tariff):
        if cells.values.get("deposit"):
            row["deposit_minor"] = cells.parsed("deposit", lambda t: _deposit(t, known.currency))
        if cells.values.get("banked_kwh"):
            row["opening_bank"] = cells.parsed("banked_kwh", lambda t: _banked(t, known)) or None
    return row


def name_contradictions(rows: Iterable[Row], problems: list[ImportProblem]) -> None:
    """Report rows of one agreement that differ in what is said of it, or say the same twice."""
    first: dict[tuple[str, str], Row] = {}
    seen: dict[tuple[str, ...], Row] = {}
    for row in rows:
        if not row["starts_on"]:
            continue
        key = row["service_point"], row["starts_on"]
        before = first.setdefault(key, row)
        for column, name in _ALONG_AN_AGREEMENT:
            if before.get(column) != row.get(column):
                why = sentence(
                    "Row {row} says another one of the same agreement.", row=str(before["row"])
                )
                problems.append(ImportProblem(row["row"], name, why))
        since = (*key, row.get("tariff_from") or row["starts_on"])
        if (other := seen.setdefault(since, row)) is not row:
            why = sentence(
                "is the same agreement as row {row}: keep one of the two.", row=str(other["row"])
            )
            problems.append(ImportProblem(row["row"], "", why))


def _sequence(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(
            sentence("must be a whole number such as 12, not {typed}.", typed=repr(text[:20]))
        )
    return int(text)


def _phases(text: str) -> int:
    if text not in ("1", "2", "3"):
        raise ValueError(sentence("must be 1, 2 or 3, not {typed}.", typed=repr(text[:20])))
    return int(text)


def _billing_day(text: str) -> int:
    if not (_WHOLE.fullmatch(text) and 1 <= int(text) <= 28):
        raise ValueError(
            sentence("must be a day of the month from 1 to 28, not {typed}.", typed=repr(text[:20]))
        )
    return int(text)


def _moved_on(text: str, today: date) -> date:
    day = parse_day(text)
    if day > today:
        raise ValueError(
            sentence("{typed} is in the future: the place must have been moved.", typed=text)
        )
    return day


def _day_so_far(text: str, today: date) -> date:
    day = parse_day(text)
    if day > today:
        raise ValueError(
            sentence("{typed} is in the future: the agreement must have begun.", typed=text)
        )
    return day


def _end(text: str, starts_on: date | None) -> date:
    day = parse_day(text)
    if starts_on and day <= starts_on:
        raise ValueError(
            sentence(
                "must come after {day}: it is the first day that no longer belongs to the "
                "agreement, and an agreement of no days is none.",
                day=starts_on.isoformat(),
            )
        )
    return day


def _banked(text: str, tariff: TariffVersion) -> dict[str, int]:
    """The Wh in each bank under net metering: by period, or in the one of all hours.

    What is of all hours stands alone, beside periods too: 5 peak=20.
    """
    if tariff.tariff.net_metering is None:
        raise ValueError(
            sentence(
                "Tariff {tariff} has no net metering: no kWh are banked under it.",
                tariff=tariff.code,
            )
        )
    calendar = net_calendar(tariff.tariff)
    periods = (tariff.tariff.calendars or {})[calendar].period_names if calendar else ()
    banked: dict[str, int] = {}
    for part in text.split():
        name, equals, number = part.rpartition("=")
        if equals and name not in periods:
            what: dict[str, object] = {"name": repr(name[:40]), "tariff": tariff.code}
            raise ValueError(
                sentence(
                    "{name} is no bank: tariff {tariff} has the periods {periods}.",
                    periods=", ".join(periods),
                    **what,
                )
                if periods
                else sentence("{name} is no bank: tariff {tariff} nets all hours together.", **what)
            )
        if name in banked:
            raise ValueError(
                sentence("names {name} twice.", name=name)
                if name
                else sentence("names what is banked in all hours twice.")
            )
        banked[name] = parse_kwh(number, what=N_("banked energy"))
    if sum(banked.values()) > _MOST_BANKED_WH:
        raise ValueError(sentence("The banked energy is larger than anybody exports."))
    return {name: wh for name, wh in banked.items() if wh}


def _deposit(text: str, currency: str) -> int:
    minor = Money.parse(text, currency=currency).minor
    if minor < 0:
        raise ValueError(sentence("The deposit cannot be negative."))
    return minor
