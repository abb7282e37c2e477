"""The rules that a reading is judged by, each with the source that it was taken from.

"Usual" is the average daily use over the reads given, as in Oracle's D2-HILO-CHK, which compares
average daily use with that of earlier windows.
"""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from services.languages.sentence import N_, Sentence, joined, nsentence, sentence
from services.metering.expected_use import RECENT_WINDOWS
from services.metering.outcomes import Outcome, Rule, RuleOutcome
from services.metering.recent_use import HIGH_USE_FACTOR, Use, daily_kwh, tenths, used_text
from services.metering.register_arithmetic import capacity_wh, is_a_fall
from services.metering.use_limits import WINDOW_DAYS
from services.quantities.energy import kwh_value
from services.records.readings import ReadPoint
from services.records.use_limits import CLASS_LOW_FACTOR, UseLimits

# Below a third of the usual a use is low; below all that is expected, it is for review.
LOW_USE_FACTOR: Final = 3
LONGEST_USUAL_PERIOD_DAYS: Final = 62
# A register that stands still is looked at after two periods, until it is known to be unused.
STANDING_DAYS: Final = range(55, 181)
# Wh a day: of a meter that used less in half a year nothing is lost when it stands still.
STUCK_USE_WH: Final = 500
_NO_HISTORY: Final = N_("There are not yet two reads on different days to know the usual use from.")
# The unit is a place of its own: further registers count in others.
_KWH: Final = "kWh"


def below_last_read(
    register_wh: int, last_read: ReadPoint, used_wh: int, use: Use, dials: int
) -> RuleOutcome:
    """Negative use as in Oracle's D2-NCON-CHK and Elexon's CP0789; a rollover explains it."""
    rule: Rule = "below_last_read"
    now = {"kwh": kwh_value(register_wh), "unit": _KWH}
    last = {"last_kwh": kwh_value(last_read.register_wh)}
    if register_wh >= last_read.register_wh:
        fits = sentence(
            "{kwh} {unit} is not below the last read of {last_kwh} {unit}.", **now | last
        )
        return RuleOutcome(rule, "pass", fits)
    fact = sentence(
        "{kwh} {unit} is below the last read of {last_kwh} {unit} of {day}.",
        **now | last,
        day=last_read.read_on,
    )
    rolled = {
        "top_kwh": kwh_value(capacity_wh(dials) - 1000),
        "used": used_text(used_wh, use.days),
    }
    if use.limit_wh is None:
        why = sentence(
            "A rollover from {top_kwh} to 0 would mean {used}, but there are not yet two reads on "
            "different days to know the usual use from.",
            **rolled,
        )
    elif used_wh > use.limit_wh:
        why = sentence(
            "A rollover from {top_kwh} to 0 is not plausible: it would mean {used}, {compared}.",
            **rolled,
            compared=_compared(used_wh, use),
        )
    elif is_a_fall(opening_wh=last_read.register_wh, closing_wh=register_wh, dials=dials):
        why = sentence(
            "A rollover from {top_kwh} to 0 would mean {used}, more than half of all that it can "
            "show.",
            **rolled,
        )
    else:
        why = sentence(
            "A rollover from {top_kwh} to 0 explains it: {used}, {compared}.",
            **rolled,
            compared=_compared(used_wh, use),
        )
        return RuleOutcome(rule, "warn", joined((fact, why), by=" "))
    # Below the last read nothing is billed: all that is usual is missing.
    return RuleOutcome(rule, "review", joined((fact, why), by=" "), _usual_wh(use))


def above_next_read(
    register_wh: int, next_read: ReadPoint, turned_wh: int | None, use: Use
) -> RuleOutcome:
    """Negative use seen from the other side: a read that comes in late must fit below the next."""
    rule: Rule = "above_next_read"
    shown = {
        "kwh": kwh_value(register_wh),
        "unit": _KWH,
        "next_kwh": kwh_value(next_read.register_wh),
    }
    if register_wh <= next_read.register_wh:
        fits = sentence("{kwh} {unit} is not above the next read of {next_kwh} {unit}.", **shown)
        return RuleOutcome(rule, "pass", fits)
    fact = sentence(
        "{kwh} {unit} is above the next read of {next_kwh} {unit} of {day}.",
        **shown,
        day=next_read.read_on,
    )
    if turned_wh is None or use.limit_wh is None or turned_wh > use.limit_wh:
        why = sentence("A rollover between the two is not plausible.")
        return RuleOutcome(rule, "review", joined((fact, why), by=" "))
    why = sentence("A rollover between the two explains it.")
    return RuleOutcome(rule, "warn", joined((fact, why), by=" "))


def long_period(read_on: date, opening_on: date) -> RuleOutcome:
    """Period length as eemeter's, for bills of one month or two: slabs made for a month mislead."""
    message = nsentence(
        "A bill up to this read covers {count} day, since the last billed read of {day}.",
        "A bill up to this read covers {count} days, since the last billed read of {day}.",
        (read_on - opening_on).days,
        day=opening_on,
    )
    return RuleOutcome("long_period", "warn", message)


def high_use(used_wh: int, use: Use) -> RuleOutcome:
    """Oracle's D2-HILO-CHK: above all that is expected; without a settled past 3 × the usual.

    Elexon's CP0789 flags more than 2 × the expected use.
    """
    if use.limit_wh is None:
        why = sentence("Nothing was used so far.") if use.is_unused else sentence(_NO_HISTORY)
        return not_applicable("high_use", why)
    outcome: Outcome = "review" if used_wh > use.limit_wh else "pass"
    found = {"used": used_text(used_wh, use.days), "compared": _compared(used_wh, use)}
    message = sentence("{used} is {compared}.", **found)
    if use.expected is not None:
        message = sentence(
            "{used} is {compared}; {least_kwh} to {most_kwh} is expected.",
            **found,
            least_kwh=daily_kwh(use.expected.low_wh),
            most_kwh=daily_kwh(use.expected.high_wh),
        )
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
        used = sentence("{kwh} kWh were used.", kwh=kwh_value(used_wh))
        return RuleOutcome("zero_use", "pass", used)
    if _may_be_stuck(use, standing):
        return RuleOutcome(
            "zero_use",
            "review",
            nsentence(
                "Nothing was used for {count} day, by a meter that used {usual_kwh} kWh a day "
                "before: it may be stuck.",
                "Nothing was used for {count} days, by a meter that used {usual_kwh} kWh a day "
                "before: it may be stuck.",
                standing,
                usual_kwh=daily_kwh(use.usual_wh or 0),
            ),
            {"standing_days": standing} | _usual_wh(use),
        )
    if not use.days:
        nothing = sentence("Nothing was used on the day of the last read.")
    else:
        nothing = nsentence(
            "Nothing was used in {count} day.", "Nothing was used in {count} days.", use.days
        )
    return RuleOutcome("zero_use", "warn", nothing)


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
        return not_applicable(rule, sentence(_NO_HISTORY))
    if not used_wh or use.days < WINDOW_DAYS:
        said = nsentence(
            "Judged of a use in {count} day or more.",
            "Judged of a use in {count} days or more.",
            WINDOW_DAYS,
        )
        return not_applicable(rule, said)
    daily = Fraction(used_wh, use.days)
    found = {"used": used_text(used_wh, use.days), "compared": _compared(used_wh, use)}
    if use.expected is not None and daily < use.expected.low_wh:
        values = {"used_wh": used_wh, "least_wh": use.expected.low_wh * use.days, "days": use.days}
        said = sentence(
            "Low use: {used} is {compared}; {least_kwh} to {most_kwh} is expected.",
            **found,
            least_kwh=daily_kwh(use.expected.low_wh),
            most_kwh=daily_kwh(use.expected.high_wh),
        )
        return RuleOutcome(rule, "review", said, values | _usual_wh(use))
    if daily * LOW_USE_FACTOR >= use.usual_wh:
        return RuleOutcome(rule, "pass", sentence("{used} is {compared}.", **found))
    return RuleOutcome(rule, "warn", sentence("Low use: {used} is {compared}.", **found))


def percent_change(used_wh: int, use: Use) -> RuleOutcome | None:
    """Itron IEE: 100 × |current - previous| / current, of daily uses; where a limit is set."""
    limit = use.limits.validation.change_percent if use.limits else None
    if limit is None or not use.windows_wh or not used_wh or use.days < WINDOW_DAYS:
        return None
    daily, before = used_wh // use.days, use.windows_wh[-1]
    change = 100 * abs(daily - before) // max(daily, 1)
    outcome: Outcome = "review" if change > limit else "pass"
    message = sentence(
        "{daily_kwh} kWh a day is a change of {percent} % from the {before_kwh} kWh a day of the "
        "period before; up to {most_percent} % passes.",
        daily_kwh=daily_kwh(daily),
        percent=change,
        before_kwh=daily_kwh(before),
        most_percent=limit,
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
    message = sentence(
        "{daily_kwh} kWh a day; up to {most_kwh}, the median of the past and {times} times its "
        "interquartile range, passes.",
        daily_kwh=daily_kwh(daily),
        most_kwh=daily_kwh(most),
        times=ranges,
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
        return not_applicable(rule, sentence("The connected load of this meter is not known."))
    found = {
        "used": used_text(used_wh, use.days),
        "most_kwh": kwh_value(use.load_wh),
        "load_kw": kwh_value(limits.load_w),
        "unit": "kW" if limits.connected_w is not None else "kVA",
    }
    if used_wh > use.load_wh:
        values = {"used_wh": used_wh, "most_wh": use.load_wh}
        said = sentence(
            "{used} is more than the {most_kwh} kWh that {load_kw} {unit} of connected load can "
            "use.",
            **found,
        )
        return RuleOutcome(rule, "review", said, values)
    said = sentence(
        "{used} is not more than the {most_kwh} kWh that {load_kw} {unit} of connected load can "
        "use.",
        **found,
    )
    return RuleOutcome(rule, "pass", said)


def _first_reading(used_wh: int, use: Use, limits: UseLimits) -> RuleOutcome:
    """Without a usual use of its own, a meter is compared with others of its tariff.

    It is so in proportion to the connected load, where that is known of it and of others.
    """
    rule: Rule = "first_reading"
    most, known = use.first_wh, limits.known_class
    if most is None:
        return not_applicable(rule, sentence("The meter was used before."))
    low = known.low_wh if known is not None else 0
    found = {
        "used": used_text(used_wh, use.days),
        "usual": _usual_of_others(limits, daily_kwh(most / max(use.days, 1))),
    }
    values = {"used_wh": used_wh, "most_wh": int(most), "days": use.days}
    differs = sentence("A first reading: {used}, while {usual}.", **found)
    if used_wh > most:
        return RuleOutcome(rule, "review", differs, values)
    if used_wh * CLASS_LOW_FACTOR < low * use.days:
        return RuleOutcome(rule, "warn", differs, values)
    return RuleOutcome(rule, "pass", sentence("A first reading: {used}; {usual}.", **found), values)


def _usual_of_others(limits: UseLimits, most: Decimal) -> Sentence:
    """What a new meter is compared with; up to so many kWh a day where nothing is known."""
    known = limits.known_class
    if known is None:
        return sentence("up to {most_kwh} kWh a day is expected of a new meter", most_kwh=most)
    usual = {"low_kwh": daily_kwh(known.low_wh), "high_kwh": daily_kwh(known.high_wh)}
    if not known.by_load:
        return sentence("most meters on its tariff use {low_kwh} to {high_kwh} kWh a day", **usual)
    return sentence(
        "most meters on its tariff use {low_kwh} to {high_kwh} kWh a day with {load_kw} kW "
        "connected",
        **usual,
        load_kw=kwh_value(limits.load_w or 0),
    )


def not_applicable(rule: Rule, message: str) -> RuleOutcome:
    """The rule says nothing of this reading, and why."""
    return RuleOutcome(rule, "not_applicable", message)


def _usual_wh(use: Use) -> dict[str, int]:
    """What is usual of the days, for how much is at stake; nothing where it is not known."""
    return {"usual_wh": int(use.usual_wh * max(use.days, 1))} if use.usual_wh else {}


def _compared(used_wh: int, use: Use) -> Sentence:
    """Such as: 3.4 times the usual 13.3 kWh a day."""
    if not use.usual_wh:
        usual = {"unit": _KWH}
        if used_wh:
            return sentence("more than the usual 0 {unit} a day", **usual)
        return sentence("the usual 0 {unit} a day", **usual)
    ratio = Fraction(used_wh) / (use.usual_wh * max(use.days, 1))
    compared = {"times": tenths(ratio), "usual_kwh": daily_kwh(use.usual_wh), "unit": _KWH}
    # 3.01 times would be written as the 3.0 that still passes.
    if ratio > HIGH_USE_FACTOR and compared["times"] == HIGH_USE_FACTOR:
        return sentence(
            "more than {times} times the usual {usual_kwh} {unit} a day",
            **compared | {"times": HIGH_USE_FACTOR},
        )
    return sentence("{times} times the usual {usual_kwh} {unit} a day", **compared)
