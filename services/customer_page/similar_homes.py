"""What similar homes use: the one in the middle of those on the same tariff, on the same route.

At most so many homes are looked at, and what was found is kept for some hours: a page is opened
often, and last month's use hardly changes. Where fewer than ten others are, nothing is shown.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import date
from typing import Final

from services.database.service import DatabaseService
from services.metering.monthly_use import last_months
from services.records.customers.pages import HomeBand

# Others; the home itself is one of those that are counted.
LEAST_HOMES: Final = 10
MOST_HOMES: Final = 300
_KEPT_SECONDS: Final = 6 * 3600
_MOST_KEPT: Final = 2_000
_Kept = tuple[float, dict[date, int]]


class SimilarHomes:
    """Looks bands of homes up, and keeps them in memory; may be asked by many threads."""

    def __init__(
        self, database: DatabaseService, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str, date], _Kept] = OrderedDict()

    def beside(self, agreement_id: str | None, *, today: date) -> dict[date, int]:
        """What homes like that of an agreement use in Wh, by month (its first day)."""
        band = self._database.home_band(agreement_id) if agreement_id else None
        if band is None:
            return {}
        since = last_months({}, today=today)[0].month
        key = (band.tariff_id, band.route, since)
        with self._lock:
            until, found = self._kept.get(key, (0.0, {}))
        if self._clock() < until:
            return found
        return self._look_up(band, since, key)

    def _look_up(self, band: HomeBand, since: date, key: tuple[str, str, date]) -> dict[date, int]:
        months = self._database.similar_use(
            band=band, since=since, most=MOST_HOMES, least=LEAST_HOMES
        )
        found = {month.month: month.median_wh for month in months}
        with self._lock:
            self._kept[key] = (self._clock() + _KEPT_SECONDS, found)
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return found
