"""Do a meter's intervals fit its register, and does one of them stand out?

Interval values are Wh after the multiplier; registers are Wh before it.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from services.languages.sentence import nsentence, sentence
from services.metering.outcomes import RuleOutcome
from services.metering.register_arithmetic import consumption_wh
from services.quantities.energy import kwh_value
from services.records.readings import IntervalDay, ReadPoint

SUM_PERCENT: Final = 1
# A spike is so many times the third highest of its day, and more than a kWh.
SPIKE_FACTOR: Final = 5
_KWH: Final = 1000


def interval_outcomes(
    days: Sequence[IntervalDay],
    *,
    opening: ReadPoint,
    closing: ReadPoint,
    dials: int,
    multiplier_milli: int,
) -> list[RuleOutcome]:
    """What speaks against the intervals between two reads, or the register beside them."""
    between = [one for one in days if opening.read_on <= one.day <= closing.read_on]
    if not between:
        return []
    used = consumption_wh(
        opening_wh=opening.register_wh,
        closing_wh=closing.register_wh,
        dials=dials,
        multiplier_milli=multiplier_milli,
    )
    found = interval_sum(between, opening.read_on, closing.read_on, used, multiplier_milli)
    return [one for one in (found, interval_spike(between)) if one is not None]


def interval_sum(
    days: Sequence[IntervalDay], start: date, end: date, used_wh: int, multiplier_milli: int
) -> RuleOutcome | None:
    """Oracle's D2-SUM-CHK: what the intervals add up to must be what the register used.

    Reads are taken within a day: the first and last day count with none up to all of their use.
    Without intervals of every day there is nothing to compare.
    """
    by_day = {one.day: sum(one.wh) for one in days}
    whole = [start + timedelta(days=n) for n in range(1, (end - start).days)]
    if not all(day in by_day for day in (start, *whole)):
        return None
    least = sum(by_day[day] for day in whole)
    most = least + by_day[start] + by_day.get(end, 0)
    room = sum_tolerance(used_wh, multiplier_milli)
    fits = least - room <= used_wh <= most + room
    message = sentence(
        "The intervals add up to {least_kwh} to {most_kwh} kWh, the register used {kwh} kWh.",
        least_kwh=kwh_value(least),
        most_kwh=kwh_value(most),
        kwh=kwh_value(used_wh),
    )
    values = {"used_wh": used_wh, "least_wh": least, "most_wh": most}
    return RuleOutcome("interval_sum", "pass" if fits else "review", message, values)


def sum_tolerance(used_wh: int, multiplier_milli: int) -> int:
    """How far intervals may add up beside what the register used, in Wh."""
    return 2 * _KWH * multiplier_milli // 1000 + used_wh * SUM_PERCENT // 100


def interval_spike(days: Sequence[IntervalDay]) -> RuleOutcome | None:
    """Oracle's D2-INTSPKCHK: the highest interval of a day against its third highest."""
    spikes = [one for one in days if _is_spike(one.wh)]
    if not spikes:
        return None
    worst = max(spikes, key=lambda one: max(one.wh))
    highest, _, third = sorted(worst.wh, reverse=True)[:3]
    message = nsentence(
        "On {day} {highest_kwh} kWh were used within {minutes}, while the third highest was "
        "{third_kwh} kWh; {count} day of the period has such a spike.",
        "On {day} {highest_kwh} kWh were used within {minutes}, while the third highest was "
        "{third_kwh} kWh; {count} days of the period have such a spike.",
        len(spikes),
        day=worst.day,
        highest_kwh=kwh_value(highest),
        minutes=nsentence("{count} minute", "{count} minutes", worst.minutes),
        third_kwh=kwh_value(third),
    )
    values = {"highest_wh": highest, "third_wh": third}
    return RuleOutcome("interval_spike", "warn", message, values)


def _is_spike(wh: Sequence[int]) -> bool:
    if len(wh) < 3:
        return False
    highest, _, third = sorted(wh, reverse=True)[:3]
    return highest > max(SPIKE_FACTOR * third, _KWH)
