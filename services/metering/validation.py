"""Is a reading plausible? Its use since the last read, judged by the rules.

Registers are Wh as the meter shows them, before the multiplier; uses are Wh after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from typing import Final

from services.languages.sentence import joined, sentence
from services.metering.digit_rules import Doubtful, explanations
from services.metering.outcomes import Rule, RuleOutcome, Validation
from services.metering.recent_use import Use
from services.metering.register_arithmetic import capacity_wh, consumption_wh, is_a_fall
from services.metering.unreviewed import confirmed_by_waiting, that_stood_still, with_confirmed
from services.metering.use_limits import standing_days
from services.metering.validation_rules import (
    LONGEST_USUAL_PERIOD_DAYS,
    above_next_read,
    below_last_read,
    beyond_limits,
    high_use,
    long_period,
    low_use,
    not_applicable,
    outlier,
    percent_change,
    zero_use,
)
from services.records.readings import ReadPoint
from services.records.use_limits import PeerUse, UseLimits

# The rules that a new level of use answers, once readings in a row show it.
_LEVEL_RULES: Final[frozenset[Rule]] = frozenset({"high_use", "low_use", "first_reading"})
FAR_FACTOR: Final = 3


@dataclass(frozen=True, slots=True)
class ExpectedRange:
    """Register values, in Wh, that pass the rules; high below low means past a rollover."""

    low_wh: int
    high_wh: int


def expected_range(
    *,
    read_on: date,
    last_read: ReadPoint,
    history: Sequence[ReadPoint],
    dials: int,
    multiplier_milli: int,
    limits: UseLimits | None = None,
    waiting: Sequence[ReadPoint] = (),
    peers: Sequence[PeerUse] = (),
) -> ExpectedRange | None:
    """Register values that pass on `read_on`: from the last read up to the most use that does.

    The parameters are those of `validate_reading`.

    That is the most that is expected, 3 × the usual use without a settled past, or without history
    what `limits` say of a first reading; never more than the connected load. None when nothing
    limits it, or so much may be used that every value is expected. Raises UnableToCompareReads.
    """
    known, last_read = _with_waiting(read_on, last_read, history, waiting)
    known = with_confirmed(known, waiting, dials)
    use = Use.of(read_on, last_read, known, dials, multiplier_milli, limits=limits, peers=peers)
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
    waiting: Sequence[ReadPoint] = (),
    peers: Sequence[PeerUse] = (),
    other_registers: Mapping[str, int] | None = None,
) -> Validation:
    """Judge a register value by the last read and by what `history` and `peers` let expect.

    `history` holds accepted reads up to and with the last one, some 500 days of them; `next_read`
    is the accepted read after this one, where it comes in late; `opening_on` is the local date from
    which a bill up to this read would run; `limits` is what else is known of the meter; `waiting`
    are its readings of those days that nobody has reviewed yet; `other_registers` are what its
    further registers showed at the last read, in Wh.
    Raises ReadingTooLong, UnableToCompareReads.
    """
    history, last_read = _with_waiting(read_on, last_read, history, waiting)
    known = with_confirmed(history, waiting, dials)
    use = Use.of(read_on, last_read, known, dials, multiplier_milli, limits=limits, peers=peers)
    used_wh = consumption_wh(
        opening_wh=last_read.register_wh,
        closing_wh=register_wh,
        dials=dials,
        multiplier_milli=multiplier_milli,
    )
    below = below_last_read(register_wh, last_read, used_wh, use, dials)
    if below.outcome == "review":
        unknown = sentence("The use is not known while the reading is below the last one.")
        found: tuple[RuleOutcome, ...] = (
            below,
            not_applicable("high_use", unknown),
            not_applicable("zero_use", unknown),
            not_applicable("low_use", unknown),
        )
    else:
        standing = standing_days(history, register_wh=register_wh, read_on=read_on)
        found = (
            below,
            high_use(used_wh, use),
            zero_use(used_wh, use, standing),
            low_use(used_wh, use),
            *beyond_limits(used_wh, use),
            *filter(None, (percent_change(used_wh, use), outlier(used_wh, use))),
        )
    read = ReadPoint(register_wh, read_on)
    if waiting:
        level = _Level(read, last_read, waiting, use, dials)
        found = tuple(level.answer(outcome) for outcome in found)
    if any(outcome.outcome == "review" for outcome in found):
        doubtful = Doubtful(register_wh, last_read, use, dials, multiplier_milli)
        found = (*found, *explanations(doubtful, other_registers=other_registers))
    if opening_on is not None and (read_on - opening_on).days > LONGEST_USUAL_PERIOD_DAYS:
        found = (*found, long_period(read_on, opening_on))
    if next_read is None:
        return Validation(found)
    late = Use(max((next_read.read_on - read_on).days, 0), use.usual_wh)
    turned = consumption_wh(
        opening_wh=register_wh,
        closing_wh=next_read.register_wh,
        dials=dials,
        multiplier_milli=multiplier_milli,
    )
    fell = is_a_fall(opening_wh=register_wh, closing_wh=next_read.register_wh, dials=dials)
    after = above_next_read(register_wh, next_read, None if fell else turned, late)
    return Validation((*found, after))


def _with_waiting(
    read_on: date,
    last_read: ReadPoint,
    history: Sequence[ReadPoint],
    waiting: Sequence[ReadPoint],
) -> tuple[Sequence[ReadPoint], ReadPoint]:
    """The past and the last read, with those that wait where the meter stood still."""
    still = that_stood_still(read_on, last_read, waiting)
    return ([*history, *still], still[-1]) if still else (history, last_read)


@dataclass(frozen=True, slots=True)
class _Level:
    """A reading beside those that wait for review: together they may show a new level of use."""

    read: ReadPoint
    last_read: ReadPoint
    waiting: Sequence[ReadPoint]
    use: Use
    dials: int

    def answer(self, outcome: RuleOutcome) -> RuleOutcome:
        """An outcome, or a warning in the place of a doubt that those readings answer.

        Two readings in a row at a new level are a new level; far off, three are.
        """
        if outcome.outcome != "review" or outcome.rule not in _LEVEL_RULES:
            return outcome
        most, used = outcome.values.get("most_wh"), outcome.values.get("used_wh", 0)
        far = most is not None and used > FAR_FACTOR * most
        by = confirmed_by_waiting(
            self.read,
            self.last_read,
            self.waiting,
            least=2 if far else 1,
            dials=self.dials,
        )
        if by is None:
            return outcome
        same = sentence(
            "The reading of {day}, which waits for review, shows the same use.", day=by.read_on
        )
        return replace(outcome, outcome="warn", message=joined((outcome.message, same), by=" "))
