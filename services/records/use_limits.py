"""What is known of a meter's use beside its own reads: Wh a day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from math import log
from typing import Annotated, Final, NamedTuple

from pydantic import ConfigDict, Field

from services.records.base import Record

# The most use of a day that a meter without history may have when nothing else is known of it.
DEFAULT_DAILY_WH: Final = 100_000
# A first reading is high above twice what nine meters of ten use, or 1.4 times what they use
# of each kW that is connected; low below a fifth of what all but one of ten use. Fewer meters than
# these do not make a class.
CLASS_HIGH_PERCENT: Final = 200
LOAD_CLASS_HIGH_PERCENT: Final = 140
CLASS_LOW_FACTOR: Final = 5
# Without a class: of all that is connected a new meter seldom uses more over weeks.
FIRST_LOAD_PERCENT: Final = 60
LEAST_IN_CLASS: Final = 10
# Peers are compared by so many changes, over a period as long as up to so many of theirs.
CHANGES_COMPARED: Final = 5
MOST_PERIODS: Final = 3
MOST_CHANGE: Final = 2_996


@dataclass(frozen=True, slots=True)
class ValidationLimits:
    """How far a use may lie from what is expected before somebody looks; percentages.

    A use is high above `high_percent` of the highest expectation and low below `low_percent` of the
    lowest. A meter whose use changes much from month to month gets more room, up to the widest
    percentages. A register that stands still is doubted after `zero_days`. `change_percent` and
    `outlier_iqr` are further limits, None where they are not used: the change from the period
    before (Itron IEE), and how many interquartile ranges above the median of the past (eemeter).
    """

    high_percent: int = 180
    low_percent: int = 45
    widest_high_percent: int = 300
    widest_low_percent: int = 25
    zero_days: int = 20
    change_percent: int | None = None
    outlier_iqr: int | None = None


class LimitsFor(Record):
    """The limits of a tariff (None: of all) in some months of the year (none: in all)."""

    model_config = ConfigDict(extra="forbid")

    tariff_id: str | None = None
    months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = ()
    high_percent: Annotated[int, Field(ge=110, le=10_000)] = 180
    low_percent: Annotated[int, Field(ge=0, le=90)] = 45
    zero_days: Annotated[int, Field(ge=1, le=400)] = 20
    change_percent: Annotated[int, Field(ge=10, le=100_000)] | None = None
    outlier_iqr: Annotated[int, Field(ge=1, le=100)] | None = None

    @property
    def limits(self) -> ValidationLimits:
        """The limits; the widest ones are never narrower than the others."""
        usual = ValidationLimits()
        return ValidationLimits(
            high_percent=self.high_percent,
            low_percent=self.low_percent,
            widest_high_percent=max(usual.widest_high_percent, self.high_percent),
            widest_low_percent=min(usual.widest_low_percent, self.low_percent),
            zero_days=self.zero_days,
            change_percent=self.change_percent,
            outlier_iqr=self.outlier_iqr,
        )

    def fits(self, tariff_id: str | None, month: int) -> bool:
        """Whether they are meant for a meter on a tariff in a month of the year."""
        of_tariff = self.tariff_id is None or self.tariff_id == tariff_id
        return of_tariff and (not self.months or month in self.months)


@dataclass(frozen=True, slots=True)
class LimitBook:
    """What readings are judged by beside the meters' own past.

    `unknown_daily_wh` is the most Wh a day of a meter of which nothing is known yet, before its
    multiplier.
    """

    unknown_daily_wh: int = DEFAULT_DAILY_WH
    rows: tuple[LimitsFor, ...] = ()

    def of(self, tariff_id: str | None, on: date) -> ValidationLimits:
        """The limits of a meter on a local date: a tariff's before a season's, before the usual."""
        fitting = [row for row in self.rows if row.fits(tariff_id, on.month)]
        closest = max(
            fitting, key=lambda row: (row.tariff_id is not None, bool(row.months)), default=None
        )
        return closest.limits if closest else ValidationLimits()


class PeerMove(NamedTuple):
    """How another meter's daily use changed into the reading's period, and before.

    `now_milli` is the change in thousandths of the period before; `past` those into the periods
    before it as `changes_of` writes them.
    """

    now_milli: int
    past: tuple[int, ...]


@dataclass(frozen=True)
class PeerUse:
    """What another meter used a day in its last periods of about a month, in Wh, the newest last.

    The last one ends within some days of the reading that it is compared with. A doubted one ends
    with a read that waits for review.
    """

    daily_wh: tuple[int, ...]
    doubted: bool = False

    @cached_property
    def _moves(self) -> tuple[PeerMove | None, ...]:
        return tuple(self._into(periods) for periods in range(1, MOST_PERIODS + 1))

    def move(self, periods: int) -> PeerMove | None:
        """The change into the last so many periods; None where it is not known."""
        return self._moves[periods - 1] if periods <= MOST_PERIODS else None

    def _into(self, periods: int) -> PeerMove | None:
        past, last = self.daily_wh[:-periods], self.daily_wh[-periods:]
        now = sum(last) // periods
        if len(past) < 2 or not (past[-1] > 0 and now > 0):
            return None
        return PeerMove(now * 1000 // past[-1], changes_of(past))


def changes_of(daily_wh: Sequence[int]) -> tuple[int, ...]:
    """The last changes of a daily use, the newest first, in thousandths of their logarithm.

    A doubling is 693, and none is more than a change by 20.
    """
    last = daily_wh[-1 - CHANGES_COMPARED :]
    return tuple(_change(one, next_one) for one, next_one in pairwise(last))[::-1]


def _change(before_wh: int, after_wh: int) -> int:
    if before_wh <= 0 or after_wh <= 0:
        return MOST_CHANGE if after_wh > 0 else -MOST_CHANGE
    return min(max(round(1000 * log(after_wh / before_wh)), -MOST_CHANGE), MOST_CHANGE)


@dataclass(frozen=True, slots=True)
class ClassUse:
    """Wh a day of the last uses of other meters of a class: the lowest and highest tenths.

    `low_wh_kw` and `high_wh_kw` are those of each kW of connected load, of the `loaded_meters`
    where it is known.
    """

    meters: int
    low_wh: int
    high_wh: int
    loaded_meters: int = 0
    low_wh_kw: int = 0
    high_wh_kw: int = 0


@dataclass(frozen=True, slots=True)
class UsualOfClass:
    """Wh a day that most meters of a class use, and above which a first reading is high."""

    low_wh: int
    high_wh: int
    most_wh: int
    by_load: bool


@dataclass(frozen=True, slots=True)
class UseLimits:
    """What is known of a meter beside its reads; loads in W and VA, energy in Wh a day.

    `unknown_daily_wh` is for meters of which nothing else is known, before their multiplier.
    """

    connected_w: int | None = None
    connected_va: int | None = None
    class_use: ClassUse | None = None
    unknown_daily_wh: int = DEFAULT_DAILY_WH
    validation: ValidationLimits = ValidationLimits()
    # A place where nobody is supplied may stand still for as long as it likes.
    occupied: bool = True

    @property
    def load_w(self) -> int | None:
        """The connected load; VA are never less than W."""
        return self.connected_w if self.connected_w is not None else self.connected_va

    @property
    def load_daily_wh(self) -> int | None:
        """The load, all day long."""
        return None if self.load_w is None else 24 * self.load_w

    @property
    def known_class(self) -> UsualOfClass | None:
        """The use of its class, by connected load where that is known; None without enough."""
        found, load_w = self.class_use, self.load_w
        if found is None:
            return None
        if load_w is not None and found.loaded_meters >= LEAST_IN_CLASS and found.high_wh_kw > 0:
            low, high = (wh * load_w // 1000 for wh in (found.low_wh_kw, found.high_wh_kw))
            return UsualOfClass(low, high, high * LOAD_CLASS_HIGH_PERCENT // 100, by_load=True)
        if found.meters < LEAST_IN_CLASS or found.high_wh <= 0:
            return None
        most = found.high_wh * CLASS_HIGH_PERCENT // 100
        return UsualOfClass(found.low_wh, found.high_wh, most, by_load=False)

    def first_daily_wh(self, multiplier_milli: int) -> Fraction:
        """The most Wh a day of a first reading that is not high yet."""
        if self.known_class:
            return Fraction(self.known_class.most_wh)
        if self.load_daily_wh is not None:
            return Fraction(self.load_daily_wh * FIRST_LOAD_PERCENT, 100)
        return Fraction(self.unknown_daily_wh * multiplier_milli, 1000)
