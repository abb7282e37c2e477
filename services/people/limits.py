"""How often a sign-in may be tried: pauses that grow, and that nobody can bring upon others.

What is counted is kept in this process's memory, so many keys of each kind and no more.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.languages.sentence import sentence

_MOST_KEYS: Final = 20_000


class TooManyTries(Exception):
    """Nothing was tried: the next try counts only after `wait`."""

    def __init__(self, wait: timedelta) -> None:
        self.wait = wait
        super().__init__(
            sentence("Too many tries. Wait {time} and try again.", time=_in_words(wait))
        )


@dataclass(frozen=True, slots=True)
class Pauses:
    """So many failures without a pause, then pauses that double from `first` up to `longest`.

    Counts are forgotten when nothing failed for `forgotten_after`.
    """

    free: int
    first: timedelta
    longest: timedelta
    forgotten_after: timedelta = timedelta(hours=24)

    def after(self, failures: int) -> timedelta:
        """How long to wait after so many failures."""
        if failures < self.free:
            return timedelta(0)
        doublings = min(failures - self.free, 32)
        seconds = self.first.total_seconds() * 2.0**doublings
        return min(timedelta(seconds=seconds), self.longest)


# What one place may try, whichever names; an office shares an address.
OF_ADDRESS: Final = Pauses(20, timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1))
OF_NAME_AT_ADDRESS: Final = Pauses(5, timedelta(seconds=2), timedelta(minutes=15))
# A name that is tried from everywhere: new devices take turns, and none waits for good.
OF_NAME: Final = Pauses(20, timedelta(seconds=1), timedelta(seconds=10))
# Codes at a name: who guesses them showed the password, so nobody is locked out by a stranger.
OF_NAME_FOR_CODES: Final = Pauses(10, timedelta(seconds=2), timedelta(minutes=5))
# A device that its user signed in with before: what others try elsewhere does not count there.
OF_DEVICE: Final = Pauses(10, timedelta(seconds=2), timedelta(minutes=15))


@dataclass(frozen=True, slots=True)
class Try:
    """A try, counted as a failure when it began; with the failures of strangers at its name."""

    keys: tuple[tuple[str, str], ...]
    failures_of_name: int


class TryLimits:
    """Counts of tries of one kind, such as passwords; each counts as failed until it succeeded."""

    def __init__(self, *, of_name: Pauses = OF_NAME, most_keys: int = _MOST_KEYS) -> None:
        pauses_of = _PAUSES | {"name": of_name}
        self._lock = threading.Lock()
        self._counts = {kind: _Counts(pauses, most_keys) for kind, pauses in pauses_of.items()}

    def begin(self, *, name: str, address: str, device: str | None, now: datetime) -> Try:
        """Count a try; raises TooManyTries, uncounted, while a pause lasts.

        `device` is a known device of the user with this name: only its own tries count for it.
        """
        if device is not None:
            keys: tuple[tuple[str, str], ...] = (("device", f"{name}\n{device}"),)
        else:
            keys = (("address", address), ("name", name), ("both", f"{name}\n{address}"))
        with self._lock:
            wait = max(self._counts[kind].wait(key, now) for kind, key in keys)
            if wait > timedelta(0):
                raise TooManyTries(wait)
            for kind, key in keys:
                self._counts[kind].add(key, now)
            return Try(keys, 0 if device is not None else self._counts["name"].failures(name, now))

    def succeeded(self, tried: Try) -> None:
        """Take a try back: whoever made it is let in, and starts again at this place."""
        with self._lock:
            for kind, key in tried.keys:
                if kind in {"device", "both"}:
                    self._counts[kind].forget(key)
                else:
                    self._counts[kind].take_back(key)

    def undo(self, tried: Try) -> None:
        """Take a try back that was never made."""
        with self._lock:
            for kind, key in tried.keys:
                self._counts[kind].take_back(key)

    def size(self) -> int:
        """How many keys are kept."""
        return sum(len(counts) for counts in self._counts.values())


_PAUSES: Final = {
    "address": OF_ADDRESS,
    "both": OF_NAME_AT_ADDRESS,
    "name": OF_NAME,
    "device": OF_DEVICE,
}


class _Counts:
    """Failures by key, the least lately failed forgotten first."""

    def __init__(self, pauses: Pauses, most: int) -> None:
        self._pauses = pauses
        self._most = most
        self._failures: OrderedDict[str, tuple[int, datetime]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def failures(self, key: str, now: datetime) -> int:
        count, last = self._failures.get(key, (0, now))
        return count if now - last < self._pauses.forgotten_after else 0

    def wait(self, key: str, now: datetime) -> timedelta:
        _, last = self._failures.get(key, (0, now))
        return self._pauses.after(self.failures(key, now)) - (now - last)

    def add(self, key: str, now: datetime) -> None:
        self._failures[key] = (self.failures(key, now) + 1, now)
        self._failures.move_to_end(key)
        if len(self._failures) > self._most:
            self._failures.popitem(last=False)

    def take_back(self, key: str) -> None:
        if key in self._failures:
            count, last = self._failures[key]
            self._failures[key] = (max(0, count - 1), last)

    def forget(self, key: str) -> None:
        self._failures.pop(key, None)


def _in_words(wait: timedelta) -> str:
    seconds = max(1, round(wait.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    return f"{-(-seconds // 60)} min"
