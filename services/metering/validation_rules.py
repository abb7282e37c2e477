"""The rules that a reading is judged by, each with the source that it was taken from.

"Usual" is the average daily use over the reads given, as in Oracle's D2-HILO-CHK, which compares
average daily use with that of earlier windows.
"""

from datetime import date
from fractions import Fraction
from typing import Final

from services.metering.expected_use import RECENT_WINDOWS
from services.metering.outcomes import Outcome, Rule, RuleOutcome
from services.metering.recent_use import (
    HIGH_USE_FACTOR,
    Use,
    daily_text,
    day_text,
    kwh_text,
    tenths_text,
)
from services.metering.register_arithmetic import capacity_wh, is_a_fall
from services.metering.use_limits import WINDOW_DAYS
from services.quantities.counting import count
from services.records.readings import ReadPoint
from services.records.use_limits import CLASS_LOW_FACTOR, UseLimits

# Below a third of the usual a use is low; below all that is expected, it is for review.
LOW_USE_FACTOR: Final = 3
LONGEST_USUAL_PERIOD_DAYS: Final = 62
# A register that stands still is looked at after two periods, until it is known to be unused.
STANDING_DAYS: Final = range(55, 181)
# Wh a day: of a meter that used less in half a year nothing is lost when it stands still.
STUCK_USE_WH: Final = 500
_NO_HISTORY: Final = "there are not yet two reads on different days to know the usual use from"


def below_last_read(
    register_wh: int, last_read: ReadPoint, used_wh: int, use: Use, dials: int
) -> RuleOutcome:
    """Negative use as in Oracle's D2-NCON-CHK and Elexon's CP0789; a rollover explains it."""
    rule: Rule = "below_last_read"
    now, last = kwh_text(register_wh), kwh_text(last_read.register_wh)
    if register_wh >= last_read.register_wh:
        return RuleOutcome(rule, "pass", f"{now} kWh is not below the last read of {last} kWh.")
    fact = f"{now} kWh is below the last read of {last} kWh of {day_text(last_read.read_on)}."
    rolled = f"a rollover from {kwh_text(capacity_wh(dials) - 1000)} to 0"
    would_be = _used(used_wh, use)
    if use.limit_wh is None:
        why = f"{rolled} would mean {would_be}, but {_NO_HISTORY}"
    elif used_wh > use.limit_wh:
        why = f"{rolled} is not plausible: it would mean {would_be}, {_compared(used_wh, use)}"
    elif is_a_fall(opening_wh=last_read.register_wh, closing_wh=register_wh, dials=dials):
        why = f"{rolled} would mean {would_be}, more than half of all that it can show"
    else:
        why = f"{rolled} explains it: {would_be}, {_compared(used_wh, use)}"
        return RuleOutcome(rule, "warn", f"{fact} {_sentence(why)}")
    # Below the last read nothing is billed: all that is usual is missing.
    return RuleOutcome(rule, "review", f"{fact} {_sentence(why)}", _usual_wh(use))


def above_next_read(
    register_wh: int, next_read: ReadPoint, turned_wh: int | None, use: Use
) -> RuleOutcome:
    """Negative use seen from the other side: a read that comes in late must fit below the next."""
    rule: Rule = "above_next_read"
    now, after = kwh_text(register_wh), kwh_text(next_read.register_wh)
    if register_wh <= next_read.register_wh:
        return RuleOutcome(rule, "pass", f"{now} kWh is not above the next read of {after} kWh.")
    fact = f"{now} kWh is above the next read of {after} kWh of {day_text(next_read.read_on)}."
    if turned_wh is None or use.limit_wh is None or turned_wh > use.limit_wh:
        return RuleOutcome(rule, "review", f"{fact} A rollover between the two is not plausible.")
    return RuleOutcome(rule, "warn", f"{fact} A rollover between the two explains it.")


def long_period(read_on: date, opening_on: date) -> RuleOutcome:
    """Period length as eemeter's, for bills of one month or two: slabs made for a month mislead."""
    days = (read_on - opening_on).days
    since = f"since the last billed read of {day_text(opening_on)}"
    message = f"A bill up to this read covers {count(days, 'day')}, {since}."
    return RuleOutcome("long_period", "warn", message)


def high_use(used_wh: int, use: Use) -> RuleOutcome:
    """Oracle's D2-HILO-CHK: above all that is expected; without a settled past 3 × the usual.

    Elexon's CP0789 flags more than 2 × the expected use.
    """
    if use.limit_wh is None:
        why = "nothing was used so far" if use.is_unused else _NO_HISTORY
        return not_applicable("high_use", _sentence(why))
    outcome: Outcome = "review" if used_wh > use.limit_wh else "pass"
    message = f"{_used(used_wh, use)} is {_compared(used_wh, use)}{_expected(use)}."
    values = {"used_wh": used_wh, "most_wh": int(use.limit_wh), "days": use.days}
    if use.expected is not None:
        values["least_wh"] = use.expected.low_wh * max(use.days, 1)
    return RuleOutcome("high_use", outcome, message, values | _usual_wh(use))


def zero_use(used_wh: int, use: Use, standing: int) -> RuleOutcome:
    """A total of 0, as in Oracle's D2-ZEROCNCHK: a meter that was used may be stuck.

    Somebody looks when it stands still for the first period, and after each two periods more until
    it is known to be unused. Without a settled past it warns for the first two periods, since homes
    do stand empty.
    """
    if used_wh:
        return RuleOutcome("zero_use", "pass", f"{kwh_text(used_wh)} kWh were used.")
    if _may_be_stuck(use, standing):
        return RuleOutcome(
            "zero_use",
            "review",
            f"Nothing was used for {count(standing, 'day')}, by a meter that used "
            f"{daily_text(use.usual_wh or 0)} kWh a day before: it may be "
            "stuck.",
            {"standing_days": standing} | _usual_wh(use),
        )
    return RuleOutcome("zero_use", "warn", f"Nothing was used {use.when}.")


def _may_be_stuck(use: Use, standing: int) -> bool:
    if not use.usual_wh or (use.limits is not None and not use.limits.occupied):
        return False
    if use.expected is not None and standing <= use.days:
        least = (use.limits or UseLimits()).validation.zero_days
        return use.days >= least and max(use.windows_wh[-6:]) >= STUCK_USE_WH
    asked = (standing - use.days) // STANDING_DAYS.start
    asks = standing in STANDING_DAYS and standing // STANDING_DAYS.start > asked
    return standing > use.days and asks


def low_use(used_wh: int, use: Use) -> RuleOutcome:
    """The low side of Oracle's D2-HILO-CHK: a lost digit, a slow meter, theft.

    It is reviewed only beside a settled past, and below all that is expected from that.
    """
    rule: Rule = "low_use"
    if not use.usual_wh:
        return not_applicable(rule, _sentence(_NO_HISTORY))
    if not used_wh or use.days < WINDOW_DAYS:
        return not_applicable(rule, f"Judged of a use in {WINDOW_DAYS} days or more.")
    daily = Fraction(used_wh, use.days)
    message = f"{_used(used_wh, use)} is {_compared(used_wh, use)}"
    if use.expected is not None and daily < use.expected.low_wh:
        values = {"used_wh": used_wh, "least_wh": use.expected.low_wh * use.days, "days": use.days}
        said = f"Low use: {message}{_expected(use)}."
        return RuleOutcome(rule, "review", said, values | _usual_wh(use))
    if daily * LOW_USE_FACTOR >= use.usual_wh:
        return RuleOutcome(rule, "pass", f"{message}.")
    return RuleOutcome(rule, "warn", f"Low use: {message}.")


def percent_change(used_wh: int, use: Use) -> RuleOutcome | None:
    """Itron IEE: 100 × |current - previous| / current, of daily uses; where a limit is set."""
    limit = use.limits.validation.change_percent if use.limits else None
    if limit is None or not use.windows_wh or not used_wh or use.days < WINDOW_DAYS:
        return None
    daily, before = used_wh // use.days, use.windows_wh[-1]
    change = 100 * abs(daily - before) // max(daily, 1)
    outcome: Outcome = "review" if change > limit else "pass"
    message = (
        f"{daily_text(daily)} kWh a day is a change of {change} % from the {daily_text(before)} "
        f"kWh a day of the period before; up to {limit} % passes."
    )
    return RuleOutcome("percent_change", outcome, message, {"change_percent": change})


def outlier(used_wh: int, use: Use) -> RuleOutcome | None:
    """eemeter's: above median + a number of interquartile ranges of the past; where it is set."""
    ranges = use.limits.validation.outlier_iqr if use.limits else None
    if ranges is None or len(use.windows_wh) < 2 * RECENT_WINDOWS:
        return None
    past = sorted(use.windows_wh)
    quarter = len(past) // 4
    median, spread = past[len(past) // 2], past[-1 - quarter] - past[quarter]
    most, daily = median + ranges * spread, used_wh // max(use.days, 1)
    outcome: Outcome = "review" if daily > most else "pass"
    message = (
        f"{daily_text(daily)} kWh a day; up to {daily_text(most)}, the median of the past and "
        f"{ranges} times its interquartile range, passes."
    )
    return RuleOutcome("outlier", outcome, message, {"most_daily_wh": most})


def beyond_limits(used_wh: int, use: Use) -> tuple[RuleOutcome, ...]:
    """The rules that need no history of the meter, where anything is known beside it."""
    if use.limits is None:
        return ()
    found = [_above_connected_load(used_wh, use, use.limits)]
    if use.usual_wh is None or use.is_unused:
        found.append(_first_reading(used_wh, use, use.limits))
    return tuple(found)


def _above_connected_load(used_wh: int, use: Use, limits: UseLimits) -> RuleOutcome:
    """Nobody uses more than all that is connected, at all hours."""
    rule: Rule = "above_connected_load"
    if use.load_wh is None or limits.load_w is None:
        return not_applicable(rule, "The connected load of this meter is not known.")
    load = f"{kwh_text(limits.load_w)} {'kW' if limits.connected_w is not None else 'kVA'}"
    most = f"the {kwh_text(use.load_wh)} kWh that {load} of connected load can use"
    if used_wh > use.load_wh:
        values = {"used_wh": used_wh, "most_wh": use.load_wh}
        return RuleOutcome(rule, "review", f"{_used(used_wh, use)} is more than {most}.", values)
    return RuleOutcome(rule, "pass", f"{_used(used_wh, use)} is not more than {most}.")


def _first_reading(used_wh: int, use: Use, limits: UseLimits) -> RuleOutcome:
    """Without a usual use of its own, a meter is compared with others of its tariff.

    It is so in proportion to the connected load, where that is known of it and of others.
    """
    rule: Rule = "first_reading"
    used, most = f"A first reading: {_used(used_wh, use)}", use.first_wh
    if most is None:
        return not_applicable(rule, "The meter was used before.")
    low = 0
    if (known := limits.known_class) is not None:
        low = known.low_wh
        usual = f"{daily_text(low)} to {daily_text(known.high_wh)} kWh a day"
        usual = f"most meters on its tariff use {usual}"
        if known.by_load:
            usual += f" with {kwh_text(limits.load_w or 0)} kW connected"
    else:
        usual = f"up to {daily_text(most / max(use.days, 1))} kWh a day is expected of a new meter"
    values = {"used_wh": used_wh, "most_wh": int(most), "days": use.days}
    if used_wh > most:
        return RuleOutcome(rule, "review", f"{used}, while {usual}.", values)
    if used_wh * CLASS_LOW_FACTOR < low * use.days:
        return RuleOutcome(rule, "warn", f"{used}, while {usual}.", values)
    return RuleOutcome(rule, "pass", f"{used}; {usual}.", values)


def not_applicable(rule: Rule, message: str) -> RuleOutcome:
    """The rule says nothing of this reading, and why."""
    return RuleOutcome(rule, "not_applicable", message)


def _usual_wh(use: Use) -> dict[str, int]:
    """What is usual of the days, for how much is at stake; nothing where it is not known."""
    return {"usual_wh": int(use.usual_wh * max(use.days, 1))} if use.usual_wh else {}


def _used(used_wh: int, use: Use) -> str:
    """Such as: 1,400 kWh in 31 days."""
    return f"{kwh_text(used_wh)} kWh {use.when}"


def _compared(used_wh: int, use: Use) -> str:
    """Such as: 3.4 times the usual 13.3 kWh a day."""
    if not use.usual_wh:
        return f"{'more than ' if used_wh else ''}the usual 0 kWh a day"
    ratio = Fraction(used_wh) / (use.usual_wh * max(use.days, 1))
    times = tenths_text(ratio)
    # 3.01 times would be written as the 3.0 that still passes.
    if ratio > HIGH_USE_FACTOR and times == tenths_text(Fraction(HIGH_USE_FACTOR)):
        times = f"more than {HIGH_USE_FACTOR}"
    return f"{times} times the usual {daily_text(use.usual_wh)} kWh a day"


def _expected(use: Use) -> str:
    """What was expected, such as: ; 5.9 to 24.1 kWh a day are expected."""
    if use.expected is None:
        return ""
    return f"; {daily_text(use.expected.low_wh)} to {daily_text(use.expected.high_wh)} is expected"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
