"""What a demo meter's register shows: a real home's year, scaled to each of the premises."""

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from zlib import crc32
from zoneinfo import ZoneInfo

from services.demo.premises import Premises
from services.quantities.period import local_date, start_of_day

DAILY_USE = Path(__file__).with_name("daily_use.csv")

# Percent of the mean day, from Monday on: shops are busy on Saturdays and closed on Sundays.
# What panels export, in percent of the use, from January on.
_SUN = (130, 105, 45, 60, 55, 30, 35, 50, 75, 95, 110, 125)
_SHOP_WEEK = (104, 104, 106, 106, 114, 126, 40)


def spread(text: str, size: int) -> int:
    """A number below `size` that depends on nothing but the text."""
    return crc32(text.encode()) % size


@lru_cache(maxsize=1)
def daily_use() -> dict[tuple[int, int], int]:
    """Wh of the measured home by (month, day); 366 of them."""
    with DAILY_USE.open(encoding="utf-8", newline="") as file:
        days = [(row["day"].split("-"), int(row["wh"])) for row in csv.DictReader(file)]
    return {(int(month), int(day)): wh for (month, day), wh in days}


@lru_cache(maxsize=1)
def mean_daily_use() -> int:
    """Mean Wh a day of the measured home."""
    return sum(daily_use().values()) // len(daily_use())


def used_wh(premises: Premises, day: date) -> int:
    """Wh that premises use on a local day, after the multiplier."""
    wh = daily_use()[day.month, day.day] * premises.daily_wh // mean_daily_use()
    if premises.shape == "shop":
        wh = wh * _SHOP_WEEK[day.weekday()] // 100
    return wh * (85 + spread(f"{premises.serial} {day}", 31)) // 100


def exported_wh(premises: Premises, day: date) -> int:
    """Wh that panels send to the grid on a local day; the rains of summer leave little."""
    return used_wh(premises, day) * _SUN[day.month - 1] // 100


@dataclass
class Register:
    """A register of one of the premises, from its opening on; Wh before the multiplier.

    `counts` says what; what is exported begins at 0.
    """

    premises: Premises
    opened_on: date
    zone: ZoneInfo
    counts: Callable[[Premises, date], int] = used_wh
    # Wh used from the opening up to the start of each later day.
    _used: list[int] = field(default_factory=lambda: [0])

    def at(self, instant: datetime) -> int:
        """What it shows, rolled over if need be; before its opening it stands still."""
        turned = self._used_until(instant) // self.premises.multiplier
        capacity: int = 10 ** (self.premises.dials + 3)
        opening_kwh = self.premises.opening_kwh if self.counts is used_wh else 0
        return (opening_kwh * 1000 + turned) % capacity

    def whole_kwh_at(self, instant: datetime) -> int:
        """What a person reads off it: without the decimals, still in Wh."""
        return self.at(instant) // 1000 * 1000

    def _used_until(self, instant: datetime) -> int:
        day = local_date(instant, self.zone)
        days = (day - self.opened_on).days
        if days < 0:
            return 0
        while len(self._used) <= days:
            last = self.opened_on + timedelta(days=len(self._used) - 1)
            self._used.append(self._used[-1] + self.counts(self.premises, last))
        begun = start_of_day(day, self.zone)
        length = start_of_day(day + timedelta(days=1), self.zone) - begun
        today = self.counts(self.premises, day) * (instant - begun) // length
        return self._used[days] + today


Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)
