"""A stored value as people write it; its column's name says of which kind it is."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.languages.sentence import N_, sentence
from services.quantities.energy import format_kwh
from services.quantities.money import Money
from services.quantities.written import times

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UNITS: Final = ("_minor", "_wh", "_w", "_va", "_milli", "_id", "_on", "_at")
# Columns that changes often name, as `label_of` calls them.
COLUMNS: Final = (
    N_("Agreement"),
    N_("Amount paid"),
    N_("Closing reading"),
    N_("Consumption"),
    N_("Decided"),
    N_("Decided by"),
    N_("Decision reason"),
    N_("Disconnect reading"),
    N_("Due date"),
    N_("Effective from"),
    N_("Ends"),
    N_("Opening reading"),
    N_("Reconnect reading"),
    N_("Register"),
    N_("Registers"),
    N_("Removal reason"),
    N_("Removed"),
    N_("Replaces"),
    N_("Rolled over"),
    N_("Source"),
    N_("Starts"),
    N_("Supersedes"),
    N_("Tariff version"),
    N_("Void reason"),
    N_("Withdrawn"),
)


def label_of(column: str) -> str:
    """A column's name as a label: connected_w becomes Connected."""
    for unit in _UNITS:
        column = column.removesuffix(unit)
    words = column.replace("_", " ").strip()
    return sentence(f"{words[:1].upper()}{words[1:]}" or "Value")


def in_words(
    column: str, value: Any, *, currency: Any, names: Mapping[str, str], zone: ZoneInfo
) -> str:
    """A value as people write it, empty for nothing and for ids that have no name."""
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return sentence("yes") if value else sentence("no")
    if isinstance(value, int):
        return _number(column, value, currency)
    if isinstance(value, list):
        each = (in_words(column, one, currency=currency, names=names, zone=zone) for one in value)
        return listed(list(each))
    return _text(column, value, names, zone) if isinstance(value, str) else ""


def _number(column: str, value: int, currency: Any) -> str:
    if column.endswith("_minor"):
        return money(value, currency) if isinstance(currency, str) else ""
    if column.endswith("_wh"):
        return sentence("{number} kWh", number=_thousands(value))
    if column.endswith("_milli"):
        return times(value)
    if column.endswith(("_w", "_va")):
        load = _thousands(value)
        if column.endswith("_w"):
            return sentence("{number} kW", number=load)
        return sentence("{number} kVA", number=load)
    return sentence("{number}", number=value)


def _thousands(thousandths: int) -> Decimal:
    return Decimal(format_kwh(thousandths))


def money(minor: int, currency: str) -> str:
    """An amount of minor units."""
    return sentence("{amount}", amount=Money(minor, currency))


def moment(value: datetime, zone: ZoneInfo) -> str:
    """An instant in a zone: 12 Nov 2026, 14:05."""
    local = value.astimezone(zone)
    return sentence("{day}, {time}", day=local.date(), time=f"{local:%H:%M}")


def parted(*parts: str) -> str:
    """Those of the parts that say something, with dots between them."""
    said, *others = list(filter(None, parts)) or [""]
    for other in others:
        said = sentence("{said} · {more}", said=said, more=other)
    return said


def listed(parts: Sequence[str]) -> str:
    """Those of the parts that say something, with commas between them."""
    said, *others = list(filter(None, parts)) or [""]
    for other in others:
        said = sentence("{said}, {more}", said=said, more=other)
    return said


def _text(column: str, value: str, names: Mapping[str, str], zone: ZoneInfo) -> str:
    if column.endswith("_id") or _UUID.fullmatch(value):
        return names.get(value, "")
    try:
        if column.endswith("_at"):
            return moment(datetime.fromisoformat(value), zone)
        # A local date, under whatever name.
        if len(value) == len("2026-11-28"):
            return sentence("{day}", day=date.fromisoformat(value))
    except ValueError:
        pass
    return value
