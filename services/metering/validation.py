"""Is a reading plausible? Rules that decide; what they were taken from stands beside each.

"Usual" is the average daily use over the reads given, as in Oracle's D2-HILO-CHK, which compares
average daily use with that of earlier windows. Registers are Wh as the meter shows them, before
the multiplier; uses are Wh after it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, Literal, Self

from services.metering.register_arithmetic import capacity_wh, consumption_wh, is_a_fall
from services.metering.use_limits import SETTLED_WINDOWS, WINDOW_DAYS, standing_days, windows_of
from services.quantities.energy import format_kwh
from services.quantities.money import round_half_up, scaled_text
from services.records.readings import ReadPoint
from services.records.use_limits import CLASS_LOW_FACTOR, UseLimits

Rule = Literal[
    "below_last_read",
    "high_use",
    "zero_use",
    "low_use",
    "first_reading",
    "above_connected_load",
    "above_next_read",
    "long_period",
    "register_sum",
    "high_maximum",
    "unable_to_price",
]
Outcome = Literal["pass", "warn", "review", "not_applicable"]
Verdict = Literal["accepted", "needs_review"]

HIGH_USE_FACTOR: Final = 3
# Below a third of the usual a use is low; below a fifth, and half the lowest so far, it is for
# review.
LOW_USE_FACTOR: Final = 3
VERY_LOW_USE_FACTOR: Final = 5
LONGEST_USUAL_PERIOD_DAYS: Final = 62
# A register that stands still is looked at after two periods, until it is known to be unused.
STANDING_DAYS: Final = range(55, 181)
_NO_HISTORY: Final = "there are not yet two reads on different days to know the usual use from"


class UnableToCompareReads(ValueError):
    """A read cannot be judged by a last read that was taken on a later day."""


@dataclass(frozen=True, slots=True)
class ExpectedRange:
    """Register values, in Wh, that pass the rules; high below low means past a rollover."""

    low_wh: int
    high_wh: int


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """What one rule found, with a sentence for the engineer."""

    rule: Rule
    outcome: Outcome
    message: str

    def to_json(self) -> dict[str, str]:
        """A JSON object of strings, under the names of the fields."""
        return {"rule": self.rule, "outcome": self.outcome, "message": self.message}


@dataclass(frozen=True, slots=True)
class Validation:
    """The outcomes of all rules for one reading."""

    outcomes: tuple[RuleOutcome, ...]

    def with_outcomes_of(self, other: "Validation") -> "Validation":
        """These outcomes, and what another comparison of the same reading finds to review."""
        doubts = (found for found in other.outcomes if found.outcome == "review")
        return self.with_outcomes(doubts)

    def with_outcomes(self, found: Iterable[RuleOutcome]) -> "Validation":
        """These outcomes, and those of further rules."""
        return Validation((*self.outcomes, *found))

    @property
    def verdict(self) -> Verdict:
        """needs_review as soon as one rule asks for it; a warning alone is accepted."""
        review = any(found.outcome == "review" for found in self.outcomes)
        return "needs_review" if review else "accepted"

    def to_json(self) -> dict[str, Any]:
        """{"verdict", "rules": [{"rule", "outcome", "message"}]}."""
        return {"verdict": self.verdict, "rules": [found.to_json() for found in self.outcomes]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what to_json wrote; the verdict follows from the outcomes."""
        names = RuleOutcome.__slots__
        found = (RuleOutcome(**{name: rule[name] for name in names}) for rule in data["rules"])
        return cls(outcomes=tuple(found))


def usual_daily_use(
    history: Sequence[ReadPoint], dials: int, multiplier_milli: int
) -> Fraction | None:
    """Average Wh a day between the reads given, or None without two reads on two days.

    A fall of the register that would be more than half a turn is no rollover but a correction that
    a person accepted: the days and the use around it are left out.
    """
    reads = sorted(history, key=lambda read: read.read_on)
    used = days = 0
    for before, after in pairwise(reads):
        opening, closing = before.register_wh, after.register_wh
        if is_a_fall(opening_wh=opening, closing_wh=closing, dials=dials):
            continue
        used += (closing - opening) % capacity_wh(dials)
        days += (after.read_on - before.read_on).days
    return Fraction(used * multiplier_milli, 1000 * days) if days else None


def expected_range(
    *,
    read_on: date,
    last_read: ReadPoint,
    history: Sequence[ReadPoint],
    dials: int,
    multiplier_milli: int,
    limits: UseLimits | None = None,
) -> ExpectedRange | None:
    """Register values that pass on `read_on`: from the last read up to the most use that does.

    That is 3 × the usual use, or without history what `limits` say of a first reading; never more
    than the connected load. None when nothing limits it, or so much may be used that every value is
    expected. Raises UnableToCompareReads.
    """
    use = _Use.of(read_on, last_read, history, dials, multiplier_milli, limits=limits)
    most = use.most_wh
    if most is None:
        return None
    # The largest turn of the register whose use, rounded to a Wh, stays within the limit.
    below = Fraction(2 * (most // 1) + 1, 2) * 1000 / multiplier_milli
    turned = -(-below // 1) - 1
    capacity, low = capacity_wh(dials), last_read.register_wh
    if turned >= capacity:
        return None
    if low + turned >= capacity:
        # A rollover is never more than half a turn.
        turned = max(min(turned, capacity // 2), capacity - 1 - low)
    return ExpectedRange(low_wh=low, high_wh=(low + turned) % capacity_wh(dials))


def validate_reading(
    *,
    register_wh: int,
    read_on: date,
    last_read: ReadPoint,
    history: Sequence[ReadPoint],
    dials: int,
    multiplier_milli: int,
    next_read: ReadPoint | None = None,
    opening_on: date | None = None,
    limits: UseLimits | None = None,
) -> Validation:
    """Judge a register value by the last read and by the usual use of `history`.

    `history` holds accepted reads up to and with the last one, some 400 days of them; `next_read`
    is the accepted read after this one, where it comes in late; `opening_on` is the local date from
    which a bill up to this read would run; `limits` is what else is known of the meter.
    Raises ReadingTooLong, UnableToCompareReads.
    """
    use = _Use.of(read_on, last_read, history, dials, multiplier_milli, limits=limits)
    used_wh = consumption_wh(
        opening_wh=last_read.register_wh,
        closing_wh=register_wh,
        dials=dials,
        multiplier_milli=multiplier_milli,
    )
    below = _below_last_read(register_wh, last_read, used_wh, use, dials)
    if below.outcome == "review":
        unknown = "The use is not known while the reading is below the last one."
        found: tuple[RuleOutcome, ...] = (
            below,
            _not_applicable("high_use", unknown),
            _not_applicable("zero_use", unknown),
            _not_applicable("low_use", unknown),
        )
    else:
        standing = standing_days(history, register_wh=register_wh, read_on=read_on)
        found = (
            below,
            _high_use(used_wh, use),
            _zero_use(used_wh, use, standing),
            _low_use(used_wh, use),
            *_beyond_limits(used_wh, use),
        )
    if opening_on is not None and (read_on - opening_on).days > LONGEST_USUAL_PERIOD_DAYS:
        found = (*found, _long_period(read_on, opening_on))
    if next_read is None:
        return Validation(found)
    late = _Use(max((next_read.read_on - read_on).days, 0), use.usual_wh)
    turned = consumption_wh(
        opening_wh=register_wh,
        closing_wh=next_read.register_wh,
        dials=dials,
        multiplier_milli=multiplier_milli,
    )
    fell = is_a_fall(opening_wh=register_wh, closing_wh=next_read.register_wh, dials=dials)
    after = _above_next_read(register_wh, next_read, None if fell else turned, late)
    return Validation((*found, after))


@dataclass(frozen=True, slots=True)
class _Use:
    """The days since the last read, and what is usual a day in Wh (None: not known)."""

    days: int
    usual_wh: Fraction | None
    # The past in stretches of about a month, in Wh a day, and what limits the use beside it.
    windows_wh: tuple[Fraction, ...] = ()
    limits: UseLimits | None = None
    multiplier_milli: int = 1000

    @classmethod
    def of(
        cls,
        read_on: date,
        last_read: ReadPoint,
        history: Sequence[ReadPoint],
        dials: int,
        multiplier_milli: int,
        *,
        limits: UseLimits | None = None,
    ) -> Self:
        """Raises UnableToCompareReads when the last read is of a later day."""
        days = (read_on - last_read.read_on).days
        if days < 0:
            read, last = _day(read_on), _day(last_read.read_on)
            raise UnableToCompareReads(f"A reading of {read} cannot be judged by one of {last}.")
        return cls(
            days,
            usual_daily_use(history, dials, multiplier_milli),
            tuple(
                window.daily_wh * multiplier_milli / 1000
                for window in windows_of(history, capacity_wh=capacity_wh(dials))
            ),
            limits,
            multiplier_milli,
        )

    @property
    def limit_wh(self) -> Fraction | None:
        """The most that is not yet high; two reads on one date may be nearly a day apart."""
        if self.usual_wh is None:
            return None
        return HIGH_USE_FACTOR * self.usual_wh * max(self.days, 1)

    @property
    def first_wh(self) -> Fraction | None:
        """The most that is not yet high of a first reading; None where it is none."""
        if self.usual_wh is not None or self.limits is None:
            return None
        daily = self.limits.first_daily_wh(self.multiplier_milli)
        return None if daily is None else daily * max(self.days, 1)

    @property
    def load_wh(self) -> int | None:
        """The most that the connected load can use; two dates may be nearly a day further apart."""
        daily = self.limits.load_daily_wh if self.limits else None
        return None if daily is None else daily * max(self.days, 1)

    @property
    def most_wh(self) -> Fraction | None:
        """The most that passes every rule."""
        known = [
            Fraction(wh) for wh in (self.limit_wh, self.first_wh, self.load_wh) if wh is not None
        ]
        return min(known, default=None)

    @property
    def when(self) -> str:
        """The days in words."""
        if not self.days:
            return "on the day of the last read"
        return f"in {self.days} day{'s' if self.days > 1 else ''}"


def _below_last_read(
    register_wh: int, last_read: ReadPoint, used_wh: int, use: _Use, dials: int
) -> RuleOutcome:
    """Negative use as in Oracle's D2-NCON-CHK and Elexon's CP0789; a rollover explains it."""
    rule: Rule = "below_last_read"
    now, last = _kwh(register_wh), _kwh(last_read.register_wh)
    if register_wh >= last_read.register_wh:
        return RuleOutcome(rule, "pass", f"{now} kWh is not below the last read of {last} kWh.")
    fact = f"{now} kWh is below the last read of {last} kWh of {_day(last_read.read_on)}."
    rolled = f"a rollover from {_kwh(capacity_wh(dials) - 1000)} to 0"
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
    return RuleOutcome(rule, "review", f"{fact} {_sentence(why)}")


def _above_next_read(
    register_wh: int, next_read: ReadPoint, turned_wh: int | None, use: _Use
) -> RuleOutcome:
    """Negative use seen from the other side: a read that comes in late must fit below the next."""
    rule: Rule = "above_next_read"
    now, after = _kwh(register_wh), _kwh(next_read.register_wh)
    if register_wh <= next_read.register_wh:
        return RuleOutcome(rule, "pass", f"{now} kWh is not above the next read of {after} kWh.")
    fact = f"{now} kWh is above the next read of {after} kWh of {_day(next_read.read_on)}."
    if turned_wh is None or use.limit_wh is None or turned_wh > use.limit_wh:
        return RuleOutcome(rule, "review", f"{fact} A rollover between the two is not plausible.")
    return RuleOutcome(rule, "warn", f"{fact} A rollover between the two explains it.")


def _long_period(read_on: date, opening_on: date) -> RuleOutcome:
    """Period length as eemeter's, for bills of one month or two: slabs made for a month mislead."""
    days = (read_on - opening_on).days
    since = f"since the last billed read of {_day(opening_on)}"
    message = f"A bill up to this read covers {days} days, {since}."
    return RuleOutcome("long_period", "warn", message)


def _high_use(used_wh: int, use: _Use) -> RuleOutcome:
    """Elexon's CP0789 flags more than 2 × the expected use; here it is 3 × the usual."""
    if use.limit_wh is None:
        return _not_applicable("high_use", _sentence(_NO_HISTORY))
    outcome: Outcome = "review" if used_wh > use.limit_wh else "pass"
    return RuleOutcome("high_use", outcome, f"{_used(used_wh, use)} is {_compared(used_wh, use)}.")


def _zero_use(used_wh: int, use: _Use, standing: int) -> RuleOutcome:
    """A total of 0, as in Oracle's D2-ZEROCNCHK: it warns, since homes do stand empty.

    A meter that was used and stands still over two periods may be stuck: somebody looks, and after
    each two periods more, however often it is read.
    """
    if used_wh:
        return RuleOutcome("zero_use", "pass", f"{_kwh(used_wh)} kWh were used.")
    asked = (standing - use.days) // STANDING_DAYS.start
    asks = standing in STANDING_DAYS and standing // STANDING_DAYS.start > asked
    if use.usual_wh and standing > use.days and asks:
        return RuleOutcome(
            "zero_use",
            "review",
            f"Nothing was used for {standing} days, by a meter that used "
            f"{_tenths(use.usual_wh / 1000)} kWh a day before: it may be stuck.",
        )
    return RuleOutcome("zero_use", "warn", f"Nothing was used {use.when}.")


def _low_use(used_wh: int, use: _Use) -> RuleOutcome:
    """The low side of Oracle's D2-HILO-CHK: a lost digit, a slow meter, theft.

    It is reviewed only beside a settled past, whose lowest months it stays far below: a home that
    is empty for some weeks is not.
    """
    rule: Rule = "low_use"
    if not use.usual_wh:
        return _not_applicable(rule, _sentence(_NO_HISTORY))
    if not used_wh or use.days < WINDOW_DAYS:
        return _not_applicable(rule, f"Judged of a use in {WINDOW_DAYS} days or more.")
    daily = Fraction(used_wh, use.days)
    message = f"{_used(used_wh, use)} is {_compared(used_wh, use)}."
    if daily * LOW_USE_FACTOR >= use.usual_wh:
        return RuleOutcome(rule, "pass", message)
    settled = len(use.windows_wh) >= SETTLED_WINDOWS
    if settled and daily * VERY_LOW_USE_FACTOR < use.usual_wh and 2 * daily < min(use.windows_wh):
        lowest = _tenths(min(use.windows_wh) / 1000)
        return RuleOutcome(rule, "review", f"Low use: {message} The lowest so far is {lowest}.")
    return RuleOutcome(rule, "warn", f"Low use: {message}")


def _beyond_limits(used_wh: int, use: _Use) -> tuple[RuleOutcome, ...]:
    """The rules that need no history of the meter, where anything is known beside it."""
    if use.limits is None:
        return ()
    found = [_above_connected_load(used_wh, use, use.limits)]
    if use.usual_wh is None:
        found.append(_first_reading(used_wh, use, use.limits))
    return tuple(found)


def _above_connected_load(used_wh: int, use: _Use, limits: UseLimits) -> RuleOutcome:
    """Nobody uses more than all that is connected, at all hours."""
    rule: Rule = "above_connected_load"
    if use.load_wh is None or limits.load_w is None:
        return _not_applicable(rule, "The connected load of this meter is not known.")
    load = f"{_kwh(limits.load_w)} {'kW' if limits.connected_w is not None else 'kVA'}"
    most = f"the {_kwh(use.load_wh)} kWh that {load} of connected load can use"
    if used_wh > use.load_wh:
        return RuleOutcome(rule, "review", f"{_used(used_wh, use)} is more than {most}.")
    return RuleOutcome(rule, "pass", f"{_used(used_wh, use)} is not more than {most}.")


def _first_reading(used_wh: int, use: _Use, limits: UseLimits) -> RuleOutcome:
    """Without a usual use of its own, a meter is compared with others of its tariff."""
    rule: Rule = "first_reading"
    used, most = f"A first reading: {_used(used_wh, use)}", use.first_wh
    if most is None:
        return _not_applicable(rule, "Nothing but its connected load limits a first reading.")
    if limits.known_class:
        low, high = limits.known_class.low_wh, limits.known_class.high_wh
        usual = f"most meters on its tariff use {_daily(low)} to {_daily(high)} kWh a day"
    else:
        low = 0
        usual = f"up to {_daily(most / max(use.days, 1))} kWh a day is expected of a new meter"
    if used_wh > most:
        return RuleOutcome(rule, "review", f"{used}, while {usual}.")
    if used_wh * CLASS_LOW_FACTOR < low * use.days:
        return RuleOutcome(rule, "warn", f"{used}, while {usual}.")
    return RuleOutcome(rule, "pass", f"{used}; {usual}.")


def _not_applicable(rule: Rule, message: str) -> RuleOutcome:
    return RuleOutcome(rule, "not_applicable", message)


def _used(used_wh: int, use: _Use) -> str:
    """Such as: 1,400 kWh in 31 days."""
    return f"{_kwh(used_wh)} kWh {use.when}"


def _compared(used_wh: int, use: _Use) -> str:
    """Such as: 3.4 times the usual 13.3 kWh a day."""
    if not use.usual_wh:
        return f"{'more than ' if used_wh else ''}the usual 0 kWh a day"
    ratio = Fraction(used_wh) / (use.usual_wh * max(use.days, 1))
    times = _tenths(ratio)
    # 3.01 times would be written as the 3.0 that still passes.
    if ratio > HIGH_USE_FACTOR and times == _tenths(Fraction(HIGH_USE_FACTOR)):
        times = f"more than {HIGH_USE_FACTOR}"
    return f"{times} times the usual {_tenths(use.usual_wh / 1000)} kWh a day"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _day(day: date) -> str:
    return f"{day.day} {day:%b %Y}"


def _kwh(wh: int) -> str:
    return f"{Decimal(format_kwh(wh)):,f}"


def _daily(wh: int | Fraction) -> str:
    return _tenths(Fraction(wh) / 1000)


def _tenths(value: Fraction) -> str:
    return f"{Decimal(scaled_text(round_half_up(value * 10), places=1)):,f}"
