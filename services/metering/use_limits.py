"""What a meter can and does use a day: its connected load, its tariff class, its own past."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final, Protocol

# Uses are compared over about a month: a day or a week says little.
WINDOW_DAYS: Final = 20


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
class Window:
    """What was used in some days in a row up to a local date, before the multiplier."""

    used_wh: int
    days: int
    until: date

    @property
    def daily_wh(self) -> int:
        """Whole Wh a day."""
        return self.used_wh // self.days


def windows_of(
    history: Sequence[DatedRead], *, capacity_wh: int, least_days: int = WINDOW_DAYS
) -> list[Window]:
    """The past in stretches of at least so many days, the first first; a fall starts a new one."""
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
            found.append(Window(used, days, after.read_on))
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
