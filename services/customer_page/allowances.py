"""How often somebody may do a thing: so many times within some hours, counted in memory."""

import threading
from collections import OrderedDict, deque
from datetime import datetime, timedelta
from typing import Final

from services.languages.sentence import N_

_MOST_KEYS: Final = 20_000
_OFTEN: Final = N_("That is as often as it can be done for now. Try again tomorrow.")


class TooMany(Exception):
    """It was done as often as is allowed for now."""


class Allowance:
    """So many times within a span of time, by key; the least lately seen key is forgotten first."""

    def __init__(self, times: int, within: timedelta, *, most_keys: int = _MOST_KEYS) -> None:
        self._times = times
        self._within = within
        self._most_keys = most_keys
        self._lock = threading.Lock()
        self._used: OrderedDict[str, deque[datetime]] = OrderedDict()

    def use(self, key: str, now: datetime) -> None:
        """Count once more; raises TooMany, uncounted."""
        with self._lock:
            used = self._used.setdefault(key, deque())
            while used and now - used[0] >= self._within:
                used.popleft()
            if len(used) >= self._times:
                raise TooMany(_OFTEN)
            used.append(now)
            self._used.move_to_end(key)
            while len(self._used) > self._most_keys:
                self._used.popitem(last=False)
