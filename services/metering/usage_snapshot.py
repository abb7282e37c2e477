"""What a bill was priced from, as it is kept beside the bill: to JSON, and back to one usage."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import date
from typing import Any, Final

from services.metering.billing_determinants import rests_on_intervals
from services.metering.interval_quality import IntervalQuality
from services.metering.measured import Metering
from services.rating import BillingDeterminants, NetBill, Part

_PEAKS: Final = ("peak_w", "peak_va", "peak_var")
_PAST_PEAKS: Final = ("past_peaks_w", "past_peaks_va", "past_peaks_var")
_NO_USE: Final = BillingDeterminants(wh=0)
_USAGE: Final = {field.name: getattr(_NO_USE, field.name) for field in fields(BillingDeterminants)}
# What each part of a bill has of its own; the rest is the same in all of them.
_ADDED: Final = ("wh", "export_wh", "vah", "varh", "carried_minor", "settled_wh")
_ADDED_BY_PERIOD: Final = (
    "by_period", "export_by_period", "vah_by_period", "netted_by_period", "settled_by_period",
)  # fmt: skip
_HIGHEST_BY_PERIOD: Final = ("peak_w_by_period", "peak_va_by_period")


def usage_snapshot(
    metering: Metering, parts: Sequence[Part], net: NetBill | None = None
) -> dict[str, Any] | None:
    """What a bill is priced from, as it is kept: integers, without what there is none of.

    None where that was the total alone. A bill in parts has the highest peaks, and each part; under
    net metering its banks of kWh.
    """
    written = [without_defaults(part.usage) for part in parts]
    if len(parts) > 1 and any(one.keys() - {"wh"} for one in written):
        peaks = [name for name in _PEAKS if any(name in one for one in written)]
        days = (part.period for part in parts)
        kept: dict[str, Any] = {
            "wh": metering.wh,
            "parts": [
                {"start": d.start.isoformat(), "end": d.end.isoformat(), **one}
                for d, one in zip(days, written, strict=True)
            ],
        }
        kept |= {name: max(one.get(name, 0) for one in written) for name in peaks}
    else:
        kept = {"wh": metering.wh} if len(parts) > 1 else written[0]
    if metering.registers:
        kept["registers"] = {name: dict(of) for name, of in metering.registers.items()}
    if metering.intervals and rests_on_intervals(metering, parts):
        quality = IntervalQuality.of_days(metering.intervals.days)
        kept |= {} if quality is None else {"interval_quality": quality.to_json()}
    if net is not None:
        kept["net"] = net.to_json()
    return kept if kept.keys() - {"wh"} else None


def usage_of_snapshot(kept: Mapping[str, Any]) -> BillingDeterminants:
    """The usage that was kept of a bill; of a bill in parts, what all its parts come to.

    How a total was used before a date within the bill is not known of parts together.
    """
    parts = kept.get("parts")
    if not parts:
        return _read(kept)
    usages = [_read(part) for part in parts]
    merged = {name: getattr(usages[-1], name) for name in _USAGE}
    each = {name: [getattr(usage, name) for usage in usages] for name in _USAGE}
    merged |= {name: _if_known(sum, each[name]) for name in _ADDED}
    merged |= {name: _if_known(max, each[name]) for name in _PEAKS}
    merged |= {name: _by_period(sum, each[name]) for name in _ADDED_BY_PERIOD}
    merged |= {name: _by_period(max, each[name]) for name in _HIGHEST_BY_PERIOD}
    if any(usage.netted_wh is not None for usage in usages):
        # Days under a version without net metering are billed as they were imported.
        merged["netted_wh"] = sum(u.wh if u.netted_wh is None else u.netted_wh for u in usages)
    return BillingDeterminants(**merged | {"wh_before": {}})


def without_defaults(usage: BillingDeterminants) -> dict[str, Any]:
    """A usage as JSON, without what there is none of."""
    kept = {name: getattr(usage, name) for name in _USAGE if getattr(usage, name) != _USAGE[name]}
    if usage.wh_before:
        kept["wh_before"] = {day.isoformat(): wh for day, wh in usage.wh_before.items()}
    return {"wh": usage.wh} | kept


def _read(kept: Mapping[str, Any]) -> BillingDeterminants:
    found = {name: kept[name] for name in _USAGE if name in kept}
    found |= {name: tuple(found[name]) for name in _PAST_PEAKS if name in found}
    if "wh_before" in found:
        before = found["wh_before"].items()
        found["wh_before"] = {date.fromisoformat(day): wh for day, wh in before}
    return BillingDeterminants(**found)


def _if_known(combine: Any, values: Sequence[int | None]) -> int | None:
    return None if None in values else int(combine(values))


def _by_period(combine: Any, parts: Sequence[Mapping[str, Mapping[str, int]]]) -> dict[str, Any]:
    """The calendars that all parts have, period by period."""
    return {
        calendar: {
            period: combine(part[calendar].get(period, 0) for part in parts)
            for period in _names(part[calendar] for part in parts)
        }
        for calendar in parts[0]
        if all(calendar in part for part in parts)
    }


def _names(parts: Iterable[Mapping[str, int]]) -> list[str]:
    return list(dict.fromkeys(name for part in parts for name in part))
