"""The figures of the database, asked for sparingly: those who look within a minute share them."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from datetime import time as time_of_day
from typing import Final

from services.container import Services
from services.quantities.period import local_date
from services.records.jobs import OperationFigures

FRESH_SECONDS: Final = 60.0
# Of the time, asking may take a fiftieth at most.
_PATIENCE: Final = 50.0


class Figures:
    """The figures of the last minute; for many threads."""

    def __init__(self, services: Services, clock: Callable[[], float] = time.monotonic) -> None:
        self._services = services
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OperationFigures | None = None
        self._good_until = 0.0

    def of(self, now: datetime) -> OperationFigures:
        """The figures as of at most a minute ago, or longer if they took long; see their `at`.

        Raises DatabaseError.
        """
        with self._lock:
            began = self._clock()
            if self._kept is None or began >= self._good_until:
                self._kept = self._asked(now)
                took = self._clock() - began
                self._good_until = self._clock() + max(FRESH_SECONDS, took * _PATIENCE)
            return self._kept

    def _asked(self, now: datetime) -> OperationFigures:
        zone = self._services.settings.timezone
        today = local_date(now, zone)

        def began(day: int) -> datetime:
            return datetime.combine(today.replace(day=day), time_of_day(), tzinfo=zone)

        return self._services.database.operation_log.figures(
            today=today, day_began=began(today.day), month_began=began(1)
        )
