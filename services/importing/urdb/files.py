"""The shapes URDB rates come in: one rate, a list, {"items": […]}, or rates by their labels."""

from collections.abc import Mapping
from typing import Any, Final

_STRUCTURES: Final = ("ratestructure", "ratestrux", "demandstructure", "demandstrux")
_FIXED: Final = ("fixedchargefirstmeter", "fixedmonthlycharge", "mincharge", "minmonthlycharge")


def is_urdb(found: Any) -> bool:
    """True when parsed JSON holds rates of URDB and no tariffs of this project."""
    entries = [entry for _, entry in rates_of(found) if isinstance(entry, Mapping)]
    return any(map(_is_rate, entries)) and not any("charges" in entry for entry in entries)


def rates_of(found: Any) -> list[tuple[str, Any]]:
    """Each rate in parsed JSON, with its label or the name that it stands under."""
    if isinstance(found, Mapping) and isinstance(found.get("items"), list):
        found = found["items"]
    if isinstance(found, list):
        return [(_label(rate), rate) for rate in found]
    if isinstance(found, Mapping) and not _is_rate(found):
        return [(str(name), rate) for name, rate in found.items()]
    return [(_label(found), found)]


def _is_rate(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    names = [str(name).lower() for name in value]
    return any(name.endswith(_STRUCTURES) or name in _FIXED for name in names)


def _label(rate: Any) -> str:
    label = (rate.get("label") or rate.get("_id") or "") if isinstance(rate, Mapping) else ""
    return str(next(iter(label.values()), "") if isinstance(label, Mapping) else label)
