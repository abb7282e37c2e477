"""What the cells of a customer's or a meter's row must be, and the row that the database takes."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, get_args
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from services.importing.table import TAKE_AWAY, Cells
from services.languages.sentence import N_, nsentence, sentence, sentence_of
from services.messages.contact_rules import email_address, language_tag, phone_number, tax_number
from services.messages.discord import check_webhook
from services.messages.phones import e164
from services.metering.register_arithmetic import ReadingTooLong, check_fits_dials
from services.metering.registers import (
    check_registers,
    measure_of,
    parse_registers,
    register_names,
)
from services.quantities.energy import parse_kwh, parse_multiplier
from services.quantities.money import exponent, scaled_text
from services.quantities.period import local_date, start_of_day
from services.quantities.quality import Quality
from services.readings.submission import EARLIEST
from services.records.readings import ReadingSource

CUSTOMER_COLUMNS = ("account_no", "name", "email", "phone", "address")
CUSTOMER_NEEDED = CUSTOMER_COLUMNS[:2]
CUSTOMER_OPTIONS = ("currency", "language", "tax_number", "discord_webhook", "whatsapp_opt_in")
CUSTOMER_DATES = ("whatsapp_opt_in",)
METER_COLUMNS = (
    "serial",
    "account_no",
    "tariff_code",
    "kind",
    "dials",
    "multiplier",
    "opening_kwh",
    "opened_on",
)
METER_OPTIONS = (
    "service_point",
    "transformer_code",
    "registers",
    "connected_kw",
    "connected_kva",
    "opening_quality",
    "opening_source",
)
METER_NUMBERS = ("multiplier", "opening_kwh", "connected_kw", "connected_kva", "registers")
METER_DATES = ("opened_on",)

# Derived ids: a file that is imported again, or whose import was interrupted, makes the same rows.
_NAMESPACE = uuid5(NAMESPACE_URL, "electricity-billing/import")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOST_MULTIPLIER_MILLI = 1_000_000_000
_MOST_DIALS = 9
_FIRST_YEAR = 1900
# A turn of the register times the multiplier, in Wh: sums of many bills still fit the database.
_MOST_TURN_WH = 10**15
_MOST_CONNECTED_W = 2_000_000_000
_MANUAL = ("manual", "basic", "mechanical", "electronic", "digital", "analog", "analogue")
_QUALITIES = {str(int(quality)): quality for quality in Quality}
_SOURCES: Mapping[str, ReadingSource] = {one: one for one in get_args(ReadingSource)}
_KINDS = {"smart": "smart"} | dict.fromkeys(_MANUAL, "manual")


def derived_id(*parts: str) -> str:
    """The id of what these parts name, the same in every import."""
    return str(uuid5(_NAMESPACE, "/".join(parts)))


def customer_row(cells: Cells) -> dict[str, Any]:
    """A customer as import_customers takes it: None leaves what is known, "" takes it away."""
    account_no = cells.identifier("account_no")
    row = {
        "row": cells.row,
        "account_no": account_no,
        "name": cells.text("name", required=True),
        "email": cells.parsed("email", _email),
        "phone": _phone(cells.changed("phone", most=60)),
        "address": cells.lines("address", most=400),
    }
    if cells.values.get("language"):
        row["language"] = cells.parsed("language", language_tag)
    if cells.values.get("currency"):
        row["currency"] = cells.parsed("currency", currency_code)
    if cells.values.get("tax_number"):
        row["tax_number"] = cells.parsed("tax_number", _tax_number)
    return row


def channels_row(cells: Cells, *, zone: ZoneInfo, now: datetime) -> dict[str, Any] | None:
    """How a customer is reached as set_customer_channels takes it, if the row says so.

    `discord_webhook` is an address, or - for none any more; `whatsapp_opt_in` is yes, no, or the
    local date of the consent.
    """
    row: dict[str, Any] = {}
    if cells.values.get("discord_webhook"):
        row["discord_webhook_url"] = cells.parsed("discord_webhook", _webhook)
    if opt_in := cells.values.get("whatsapp_opt_in", "").lower():
        agreed = cells.parsed("whatsapp_opt_in", lambda text: _opt_in(text, zone, now))
        # Imported again, a "yes" is not a new consent.
        row |= {"whatsapp_opt_in_at": agreed, "keep_earlier": opt_in == "yes"}
        if agreed:
            cells.parsed("phone", e164)
    return {"account_no": cells.values.get("account_no", "")} | row if row else None


def meter_row(cells: Cells, *, zone: ZoneInfo, now: datetime) -> dict[str, Any]:
    """A meter with its opening read as import_meters takes it; `now` is in UTC.

    Where its cells are empty a known meter keeps its transformer, registers and connected load; the
    sign - takes the first two away.
    """
    serial = cells.identifier("serial")
    dials = cells.parsed("dials", _dials)
    opening_wh = cells.parsed("opening_kwh", parse_kwh)
    if dials is not None and opening_wh is not None:
        try:
            check_fits_dials(opening_wh, dials)
        except ReadingTooLong as error:
            cells.refuse("opening_kwh", sentence_of(error))
    multiplier_milli = cells.parsed("multiplier", _multiplier_milli)
    if dials and multiplier_milli and 10**dials * multiplier_milli > _MOST_TURN_WH:
        cells.refuse(
            "multiplier",
            nsentence(
                "of {multiplier} with {count} digit counts more than any meter does: one turn of "
                "the register may be at most 1,000,000,000,000 kWh.",
                "of {multiplier} with {count} digits counts more than any meter does: one turn of "
                "the register may be at most 1,000,000,000,000 kWh.",
                dials,
                multiplier=scaled_text(multiplier_milli, places=3, trim=True),
            ),
        )
    # Where both are empty the place is vacant.
    supplied = any(map(cells.values.get, ("account_no", "tariff_code")))
    opened_on = cells.parsed("opened_on", lambda text: _opened_on(text, local_date(now, zone)))
    row = {
        "row": cells.row,
        "serial": serial,
        "account_no": cells.identifier("account_no", required=supplied),
        "tariff_code": cells.identifier("tariff_code", most=64, required=supplied),
        "service_point": cells.identifier("service_point", required=False) or None,
        "kind": cells.parsed("kind", _kind),
        "dials": dials,
        "multiplier_milli": multiplier_milli,
        "opening_wh": opening_wh,
        "opened_on": opened_on.isoformat() if opened_on else None,
        "opened_at": start_of_day(opened_on, zone).isoformat() if opened_on else None,
    }
    if transformer := cells.values.get("transformer_code"):
        taken_away = transformer == TAKE_AWAY
        row["transformer_code"] = "" if taken_away else cells.identifier("transformer_code")
    if cells.values.get("registers"):
        row |= cells.parsed("registers", lambda text: _registers(text, dials)) or {}
    for column, name in (("connected_kw", "connected_w"), ("connected_kva", "connected_va")):
        if cells.values.get(column):
            row[name] = cells.parsed(column, connected_load)
    return row | _opening_read(cells)


def _opening_read(cells: Cells) -> dict[str, Any]:
    """How sure the opening read is, and who or what read it, where the file says so."""
    found: dict[str, Any] = {}
    if cells.values.get("opening_source"):
        found["opening_source"] = cells.parsed("opening_source", reading_source)
    if cells.values.get("opening_quality"):
        quality = cells.parsed("opening_quality", quality_code)
        found["opening_quality"] = quality
        if quality is not None and quality.is_estimated:
            found["opening_source"] = "estimated"
    return found


def reading_source(text: str) -> ReadingSource:
    """Who or what read a meter, as in a full export. Raises ValueError for another text."""
    source = _SOURCES.get(text.lower())
    if source is None:
        raise ValueError(
            sentence(
                "must be one of {options}, not {typed}.",
                options=", ".join(_SOURCES),
                typed=repr(text[:20]),
            )
        )
    return source


def quality_code(text: str) -> Quality:
    """A quality by its code of ESPI. Raises ValueError for another text."""
    if text not in _QUALITIES:
        codes = ", ".join(_QUALITIES)
        raise ValueError(
            sentence(
                "must be a code of ESPI ({codes}), not {typed}.", codes=codes, typed=repr(text[:20])
            )
        )
    return _QUALITIES[text]


def _webhook(text: str) -> str | None:
    return None if text == TAKE_AWAY else check_webhook(text)


def _email(text: str) -> str | None:
    if text in ("", TAKE_AWAY):
        return "" if text else None
    return email_address(text)


def _tax_number(text: str) -> str:
    return "" if text == TAKE_AWAY else tax_number(text)


def _phone(text: str | None) -> str | None:
    return None if text is None else phone_number(text)


def currency_code(text: str) -> str:
    """A currency of ISO 4217 in capitals. Raises ValueError."""
    code = text.upper()
    exponent(code)
    return code


def _kind(text: str) -> str:
    kind = _KINDS.get(text.lower())
    if kind is None:
        raise ValueError(
            sentence(
                "must be smart or one of {kinds}, not {typed}.",
                kinds=", ".join(_MANUAL),
                typed=repr(text[:20]),
            )
        )
    return kind


def _dials(text: str) -> int:
    if len(text) != 1 or text not in "123456789":
        raise ValueError(
            sentence(
                "must be the whole-kWh digits of the register, 1 to 9, not {typed}.",
                typed=repr(text[:20]),
            )
        )
    return int(text)


def _multiplier_milli(text: str) -> int:
    milli = parse_multiplier(text or "1")
    if milli > _MOST_MULTIPLIER_MILLI:
        raise ValueError(sentence("The multiplier is larger than any meter has."))
    return milli


def _registers(text: str, dials: int | None) -> dict[str, Any]:
    """The names of registers, and what those that count up showed at the opening: peak=120.5."""
    written = [part.partition("=") for part in text.split() if text != TAKE_AWAY]
    names = register_names(name for name, _, _ in written)
    opening = parse_registers({name: value for name, equals, value in written if equals})
    check_registers(opening, of_meter=list(opening), serial="", dials=dials or _MOST_DIALS)
    measures = [measure_of(name) for name in names]
    return {
        "registers": names,
        "opening_registers": opening,
        "unopened": [m.name for m in measures if not m.is_maximum and m.name not in opening],
        "periods": [measure.period for measure in measures if measure.period],
    }


def connected_load(text: str) -> int:
    """A connected load in W (VA)."""
    watts = parse_kwh(text, what=N_("connected load"))
    if not 0 < watts <= _MOST_CONNECTED_W:
        raise ValueError(sentence("The connected load must be more than 0 and at most 2,000,000."))
    return watts


def _opened_on(text: str, today: date) -> date:
    day = parse_day(text)
    if day > today:
        raise ValueError(
            sentence("{typed} is in the future: the opening read must have been taken.", typed=text)
        )
    if day < EARLIEST.date():
        raise ValueError(sentence("{typed} is too long ago.", typed=text))
    return day


def parse_day(text: str) -> date:
    """A day written as 2026-03-01. Raises ValueError for another text."""
    if not _DATE.fullmatch(text):
        raise ValueError(
            sentence(
                "must be a date written as 2026-03-01, not {typed}. In a spreadsheet, give the "
                "column the format yyyy-mm-dd.",
                typed=repr(text[:20]),
            )
        )
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ValueError(sentence("{typed} is not a day of the calendar.", typed=text)) from None
    if day.year < _FIRST_YEAR:
        # Its first instant may lie before all that a date can say.
        raise ValueError(sentence("{typed} is too long ago.", typed=text))
    return day


def _opt_in(text: str, zone: ZoneInfo, now: datetime) -> str | None:
    """When a customer agreed, in UTC; None when they do not, or no longer."""
    if text.lower() == "no":
        return None
    if text.lower() == "yes":
        return now.isoformat()
    day = parse_day(text)
    if day > local_date(now, zone):
        raise ValueError(sentence("{typed} is in the future.", typed=text))
    return start_of_day(day, zone).isoformat()
