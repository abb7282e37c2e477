"""What a meter can and does use a day: its connected load, its tariff class, its own past."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Final, Protocol

# The most use of a day that a meter without history may have when nothing else is known of it.
DEFAULT_DAILY_WH: Final = 100_000
# A first reading is high above twice what nine meters of ten use, low below a fifth of what all but
# one of ten use. Fewer meters than these do not make a class.
CLASS_HIGH_FACTOR: Final = 2
CLASS_LOW_FACTOR: Final = 5
LEAST_IN_CLASS: Final = 10

# Uses are compared over about a month: a day or a week says little.
WINDOW_DAYS: Final = 20
SETTLED_WINDOWS: Final = 3


class DatedRead(Protocol):
    """What a register showed, in Wh before the multiplier, on a local date."""

    @property
    def register_wh(self) -> int:
        """Wh."""
        ...

    @property
    def read_on(self) -> date:
        """Local date."""
        ...


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


@dataclass(frozen=True, slots=True)
class Window:
    """What was used in some days in a row, before the multiplier."""

    used_wh: int
    days: int

    @property
    def daily_wh(self) -> Fraction:
        """Wh a day."""
        return Fraction(self.used_wh, self.days)


def windows_of(
    history: Sequence[DatedRead], *, capacity_wh: int, least_days: int = WINDOW_DAYS
) -> list[Window]:
    """The past in stretches of at least so many days, the first first; a fall starts anew."""
    found: list[Window] = []
    used = days = 0
    reads = sorted(history, key=lambda read: read.read_on)
    for before, after in pairwise(reads):
        turned = (after.register_wh - before.register_wh) % capacity_wh
        if after.register_wh < before.register_wh and 2 * turned > capacity_wh:
            used = days = 0
            continue
        used, days = used + turned, days + (after.read_on - before.read_on).days
        if days >= least_days:
            found.append(Window(used, days))
            used = days = 0
    return found


def standing_days(history: Sequence[DatedRead], *, register_wh: int, read_on: date) -> int:
    """For how many days a register has shown this very value, up to `read_on`; 0 if not yet."""
    since = read_on
    for read in sorted(history, key=lambda read: read.read_on, reverse=True):
        if read.register_wh != register_wh:
            break
        since = read.read_on
    return (read_on - since).days
