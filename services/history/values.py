"""A stored value as people write it; its column's name says of which kind it is."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.quantities.energy import format_kwh
from services.quantities.written import day, grouped, kwh, moment, money, times

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UNITS: Final = ("_minor", "_wh", "_w", "_va", "_milli", "_id", "_on", "_at")


def label_of(column: str) -> str:
    """A column's name as a label: connected_w becomes Connected."""
    for unit in _UNITS:
        column = column.removesuffix(unit)
    words = column.replace("_", " ").strip()
    return f"{words[:1].upper()}{words[1:]}" or "Value"


def in_words(
    column: str, value: Any, *, currency: Any, names: Mapping[str, str], zone: ZoneInfo
) -> str:
    """A value as people write it, empty for nothing and for ids that have no name."""
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _number(column, value, currency)
    if isinstance(value, list):
        each = (in_words(column, one, currency=currency, names=names, zone=zone) for one in value)
        return ", ".join(filter(None, each))
    return _text(column, value, names, zone) if isinstance(value, str) else ""


def _number(column: str, value: int, currency: Any) -> str:
    if column.endswith("_minor"):
        return money(value, currency) if isinstance(currency, str) else ""
    if column.endswith("_wh"):
        return kwh(value)
    if column.endswith("_milli"):
        return times(value)
    if column.endswith(("_w", "_va")):
        return f"{grouped(format_kwh(value))} {'kW' if column.endswith('_w') else 'kVA'}"
    return f"{value:,}"


def _text(column: str, value: str, names: Mapping[str, str], zone: ZoneInfo) -> str:
    if column.endswith("_id") or _UUID.fullmatch(value):
        return names.get(value, "")
    try:
        if column.endswith("_at"):
            return moment(datetime.fromisoformat(value), zone)
        # A local date, under whatever name.
        return day(date.fromisoformat(value)) if len(value) == len("2026-11-28") else value
    except ValueError:
        return value
