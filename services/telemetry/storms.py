"""Keeps a storm of the same line out of the log: the first ones, then how often it was repeated."""

import logging
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Final

WINDOW_SECONDS: Final = 60.0
# A line that says the same with other values, such as each meter of a head-end that is away.
MOST_IN_A_WINDOW: Final = 20
_MOST_KEPT: Final = 1_000

_Key = tuple[str, int, str, str]


@dataclass(slots=True)
class _Window:
    began: float
    said: int = 0
    left_out: int = 0
    last: logging.LogRecord | None = None


class Storms:
    """Counts lines by logger, level and wording; not thread-safe, a handler's lock guards it.

    A record with the attribute `every` is never left out; one with `storm` is counted apart from
    those of the same wording about something else.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[_Key, _Window] = {}
        self._next_look = clock() + WINDOW_SECONDS

    def passing(self, record: logging.LogRecord) -> bool:
        """Whether a record is written; one that is not is counted."""
        if getattr(record, "every", False):
            return True
        about = str(getattr(record, "storm", ""))
        key = (record.name, record.levelno, str(record.msg)[:200], about)
        window = self._windows.get(key)
        if window is None:
            if len(self._windows) >= _MOST_KEPT:
                return True
            window = self._windows[key] = _Window(self._clock())
        if window.said < MOST_IN_A_WINDOW:
            window.said += 1
            return True
        window.left_out += 1
        window.last = record
        return False

    def summaries(self, *, all_of_them: bool = False) -> list[logging.LogRecord]:
        """A record for each wording of which lines were left out and whose time has passed."""
        now = self._clock()
        if not all_of_them and now < self._next_look:
            return []
        found, kept = [], {}
        self._next_look = now + WINDOW_SECONDS
        for key, window in self._windows.items():
            ends = window.began + WINDOW_SECONDS
            if not all_of_them and now < ends:
                kept[key] = window
                self._next_look = min(self._next_look, ends)
            elif window.last is not None:
                seconds = round(now - window.began)
                found.append(_summary(window.last, times=window.left_out, seconds=seconds))
        self._windows = kept
        return found


def _summary(last: logging.LogRecord, *, times: int, seconds: int) -> logging.LogRecord:
    """The last of the lines, with how often it was repeated, without its traceback."""
    record = copy(last)
    record.msg = f"{last.getMessage()} [repeated {times} times in {seconds} s]"
    record.args, record.exc_info, record.exc_text, record.stack_info = None, None, None, None
    return record
