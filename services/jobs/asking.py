"""Asking one host for many things side by side: a few at a time, and no more once it is down."""

from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


@dataclass
class Circuit:
    """Opens for good when a host fails so often one after the other that it must be down."""

    most_in_a_row: int
    in_a_row: int = 0
    open: bool = False

    def failed(self) -> None:
        """The host gave no answer."""
        self.in_a_row += 1
        self.open = self.open or self.in_a_row >= self.most_in_a_row

    def answered(self) -> None:
        """The host answered, whatever it said."""
        self.in_a_row = 0


@dataclass
class HostQueue(Generic[Thing, Answer]):
    """Asks a host with `threads` threads; so many things at most are begun and not yet taken."""

    ask: Callable[[Thing], Answer]
    circuit: Circuit
    threads: int
    most_ahead: int
    _pending: dict[Future[Answer], Thing] = field(default_factory=dict)

    def answers(
        self, things: Iterator[Thing], *, tick_seconds: float
    ) -> Generator[tuple[Thing, Future[Answer] | None] | None]:
        """Each thing with what came of asking, as it comes; with None where nobody asked any more.

        None alone comes at the latest each `tick_seconds`, while nothing else does.
        """
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="asking")
        try:
            while self._begin(pool, things):
                ended, _ = wait(self._pending, timeout=tick_seconds, return_when=FIRST_COMPLETED)
                if not ended:
                    yield None
                for future in ended:
                    yield self._taken(future)
            for thing in things:
                yield thing, None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _begin(self, pool: ThreadPoolExecutor, things: Iterator[Thing]) -> bool:
        """Let more be asked for; whether anything is under way."""
        while not self.circuit.open and len(self._pending) < self.most_ahead:
            thing = next(things, None)
            if thing is None:
                break
            self._pending[pool.submit(copy_context().run, self._asked, thing)] = thing
        return bool(self._pending)

    def _asked(self, thing: Thing) -> Answer:
        if self.circuit.open:
            raise CancelledError
        return self.ask(thing)

    def _taken(self, future: Future[Answer]) -> tuple[Thing, Future[Answer] | None]:
        thing = self._pending.pop(future)
        if isinstance(future.exception(), CancelledError):
            return thing, None
        return thing, future
