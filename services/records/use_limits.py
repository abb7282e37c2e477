"""What is known of a meter's use beside its own reads: Wh a day."""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from services.records.base import Record

# The most use of a day that a meter without history may have when nothing else is known of it.
DEFAULT_DAILY_WH: Final = 100_000
# A first reading is high above twice what nine meters of ten use, low below a fifth of what all but
# one of ten use. Fewer meters than these do not make a class.
CLASS_HIGH_FACTOR: Final = 2
CLASS_LOW_FACTOR: Final = 5
LEAST_IN_CLASS: Final = 10


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


@dataclass(frozen=True, slots=True)
class PeerMove:
    """How another meter's daily use changed, in thousandths of the period before.

    `before_milli` is the change into the period before, `now_milli` that into the same period as
    the reading's.
    """

    before_milli: int
    now_milli: int


@dataclass(frozen=True, slots=True)
class ClassUse:
    """Wh a day of the last bills of other meters on a tariff: the lowest and highest tenths."""

    meters: int
    low_wh: int
    high_wh: int


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
    def known_class(self) -> ClassUse | None:
        """The use of its class, where there are enough meters in that."""
        found = self.class_use
        return found if found and found.meters >= LEAST_IN_CLASS and found.high_wh > 0 else None

    def first_daily_wh(self, multiplier_milli: int) -> Fraction | None:
        """The most Wh a day of a first reading; None where only the connected load limits it."""
        if self.known_class:
            return Fraction(CLASS_HIGH_FACTOR * self.known_class.high_wh)
        if self.load_w is not None:
            return None
        return Fraction(self.unknown_daily_wh * multiplier_milli, 1000)
