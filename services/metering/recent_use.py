"""The use since the last read, and what is usual of the meter: what the rules compare.

Registers are Wh as the meter shows them, before the multiplier; uses are Wh after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final, Self

from services.languages.sentence import Sentence, nsentence, sentence
from services.metering.expected_use import ExpectedUse, daily_uses, expected_use
from services.metering.register_arithmetic import capacity_wh, is_a_fall
from services.metering.use_limits import windows_of
from services.quantities.energy import kwh_value
from services.records.readings import ReadPoint
from services.records.use_limits import PeerUse, UseLimits

HIGH_USE_FACTOR: Final = 3


class UnableToCompareReads(ValueError):
    """A read cannot be judged by a last read that was taken on a later day."""


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


@dataclass(frozen=True, slots=True)
class Use:
    """The days since the last read, what is usual a day in Wh (None: not known), and expected."""

    days: int
    usual_wh: Fraction | None
    # The past in stretches of about a month, in Wh a day, and what limits the use beside it.
    windows_wh: tuple[int, ...] = ()
    limits: UseLimits | None = None
    multiplier_milli: int = 1000
    # None without a settled past.
    expected: ExpectedUse | None = None

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
        peers: Sequence[PeerUse] = (),
    ) -> Self:
        """Raises UnableToCompareReads when the last read is of a later day."""
        days = (read_on - last_read.read_on).days
        if days < 0:
            raise UnableToCompareReads(
                sentence(
                    "A reading of {read} cannot be judged by one of {last}.",
                    read=read_on,
                    last=last_read.read_on,
                )
            )
        windows = windows_of(history, capacity_wh=capacity_wh(dials))
        return cls(
            days,
            usual_daily_use(history, dials, multiplier_milli),
            tuple(daily_uses(windows, multiplier_milli)),
            limits,
            multiplier_milli,
            expected_use(
                windows,
                read_on=read_on,
                days=days,
                multiplier_milli=multiplier_milli,
                peers=peers,
                limits=(limits or UseLimits()).validation,
            ),
        )

    @property
    def limit_wh(self) -> Fraction | None:
        """The most that is not yet high; two reads on one date may be nearly a day apart."""
        if self.expected is not None:
            return Fraction(self.expected.high_wh * max(self.days, 1))
        if self.usual_wh is None or self.is_unused:
            return None
        return HIGH_USE_FACTOR * self.usual_wh * max(self.days, 1)

    @property
    def first_wh(self) -> Fraction | None:
        """The most that is not yet high of a first reading; None where it is none.

        The first use of a meter that only stood still is one too.
        """
        if self.limits is None or (self.usual_wh is not None and not self.is_unused):
            return None
        return self.limits.first_daily_wh(self.multiplier_milli) * max(self.days, 1)

    @property
    def is_unused(self) -> bool:
        """Whether it has a past of standing still alone, and other things limit its use."""
        return self.usual_wh == 0 and self.limits is not None

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


def used_text(used_wh: int, days: int) -> Sentence:
    """Such as: 1,400 kWh in 31 days. The place {unit} is another one for other registers."""
    values = {"kwh": kwh_value(used_wh), "unit": "kWh"}
    if not days:
        return sentence("{kwh} {unit} on the day of the last read", **values)
    return nsentence("{kwh} {unit} in {count} day", "{kwh} {unit} in {count} days", days, **values)


def tenths(value: Fraction) -> Decimal:
    """With one decimal, half up, such as 3.4."""
    return Decimal((20 * value.numerator // value.denominator + 1) // 2).scaleb(-1)


def daily_kwh(wh: int | Fraction) -> Decimal:
    """Wh a day as kWh with one decimal, such as 13.3."""
    return tenths(Fraction(wh) / 1000)
