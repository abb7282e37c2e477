"""How fast the messages of visits are taken: each runs a page's script, for strangers too."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from starlette.types import Message, Receive

from services.web.connections import address_group

# A person clicks a few times a second at most; an office behind one address has many of them.
MESSAGES_PER_SECOND: Final = 5.0
MESSAGES_AT_ONCE: Final = 40
OF_ADDRESS_PER_SECOND: Final = 30.0
OF_ADDRESS_AT_ONCE: Final = 200


class Bucket:
    """So many at once, then so many a second: says how long to wait for each further one."""

    def __init__(self, *, per_second: float, at_once: int, now: float) -> None:
        self._per_second = per_second
        self._at_once = float(at_once)
        self._left = self._at_once
        self._at = now

    def take(self, now: float) -> float:
        """Take one; the seconds until it may be used."""
        refilled = self._left + (now - self._at) * self._per_second
        self._left, self._at = min(self._at_once, refilled) - 1, now
        return max(0.0, -self._left / self._per_second)


class MessagePace:
    """Slows down visits that send more messages than people do, alone or all of an address.

    Meanwhile their messages wait at the sender: uvicorn reads no more than it can hand on.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of_address: dict[str, Bucket] = {}
        self._visits: Counter[str] = Counter()

    @contextmanager
    def visit(self, address: str | None, receive: Receive) -> Iterator[Receive]:
        """Inside the block, a `receive` for one visit that keeps to the pace."""
        group = address_group(address) if address else None
        now = self._clock()
        buckets = [Bucket(per_second=MESSAGES_PER_SECOND, at_once=MESSAGES_AT_ONCE, now=now)]
        if group is not None:
            self._visits[group] += 1
            new = Bucket(per_second=OF_ADDRESS_PER_SECOND, at_once=OF_ADDRESS_AT_ONCE, now=now)
            buckets.append(self._of_address.setdefault(group, new))

        async def paced() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                await asyncio.sleep(max(bucket.take(self._clock()) for bucket in buckets))
            return message

        try:
            yield paced
        finally:
            if group is not None:
                self._visits[group] -= 1
                if not self._visits[group]:
                    del self._visits[group], self._of_address[group]
