"""A limit on a request's head: uvicorn keeps what it reads of headers and trailers without end.

Nginx and Caddy have such a limit of their own; a certificate of ours has nothing before it.
"""

from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

# A browser's cookies of one site, several times over.
LARGEST_HEAD: Final = 64 * 1024
MOST_HEADERS: Final = 200
# What is still read of a body after its answer: most clients look only once they sent all.
LARGEST_LEFTOVER: Final = 32 * 1024 * 1024

Receive = Callable[[Any, bytes], None]


class HeadLimits:
    """Feeds connections with what came for them, and ends those whose heads do not."""

    def __init__(self, receive: Receive, *, end: Callable[[Any], None]) -> None:
        self._receive = receive
        self._end = end
        # Bytes of each since a request's head was complete, or its body got longer.
        self._taken: WeakKeyDictionary[Any, int] = WeakKeyDictionary()

    def receive(self, protocol: Any, data: bytes) -> None:
        """Hand `data` on to uvicorn's protocol, which it came for."""
        before = _reached(protocol)
        self._receive(protocol, data)
        got_on = _reached(protocol) != before
        self._taken[protocol] = taken = 0 if got_on else self._taken.get(protocol, 0) + len(data)
        most = LARGEST_LEFTOVER if _is_answered(protocol) else LARGEST_HEAD
        if taken > most or len(getattr(protocol, "headers", None) or ()) > MOST_HEADERS:
            self._end(protocol)


def _reached(protocol: Any) -> tuple[int, int]:
    cycle = protocol.cycle
    return id(cycle), 0 if cycle is None else len(cycle.body)


def _is_answered(protocol: Any) -> bool:
    """Whether what comes is still of a request that was answered, not of the next one."""
    cycle = protocol.cycle
    return cycle is not None and cycle.response_complete and protocol.scope is cycle.scope
