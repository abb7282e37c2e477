"""Work spread over processes: of this machine, or over a Dask cluster."""

import logging
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from dataclasses import dataclass, field
from multiprocessing import spawn
from multiprocessing.connection import wait as wait_for_any
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Final, Generic, TypeVar
from uuid import uuid4

log = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")

# How often workers may be lost, one after the other without a result, before the work fails.
MOST_LOSSES: Final = 5
# Pages and webhooks come before what nobody waits for.
_NICENESS: Final = 10
_WATCH_SECONDS: Final = 0.5


class Stopped(Exception):
    """The work was asked to stop; what had begun has ended, the rest was not begun."""


class WorkersLost(Exception):
    """Workers ended again and again without a result, such as for want of memory."""


@dataclass(frozen=True)
class Workers:
    """`count` processes, or the workers of the Dask scheduler at an address.

    `build` makes what the work needs, once in each worker; it is sent there, so with Dask it must
    hold no secrets. Of one process without Dask the work is done on the calling thread.
    """

    build: Callable[[], Any]
    count: int = 1
    scheduler: str | None = None
    key: str = field(default_factory=lambda: str(uuid4()))

    @property
    def several(self) -> bool:
        """Whether work is done elsewhere than on the calling thread."""
        return self.count > 1 or self.scheduler is not None

    def results(
        self,
        work: Callable[[Any, Task], Result],
        tasks: Sequence[Task],
        *,
        stop: threading.Event,
        pulse: Callable[[], None] = lambda: None,
    ) -> Iterator[Result]:
        """What `work(built, task)` answers for each task, as it comes.

        A task may be done again where its worker was lost: the work must bear that. `pulse` is
        called every moment until the last result. Raises what the work and `pulse` raise, Stopped,
        WorkersLost.
        """
        spread = _Spread(self, work, deque(tasks))
        try:
            yield from spread.results(stop, pulse)
        finally:
            spread.close()

    def executor(self) -> Executor:
        """A new one; what it runs begins within some seconds."""
        if self.scheduler is not None:
            # Only who has a cluster installs it.
            from distributed import Client  # noqa: PLC0415

            client = Client(self.scheduler, set_as_default=False)  # type: ignore[no-untyped-call]
            return _OfDask(client)
        return ProcessPoolExecutor(self.count, mp_context=_Context(), initializer=_begin)


@dataclass
class _Spread(Generic[Task, Result]):
    """Tasks on their way through an executor, a few more at a time than it has workers."""

    workers: Workers
    work: Callable[[Any, Task], Result]
    waiting: deque[Task]
    running: dict["Future[Result]", Task] = field(default_factory=dict)
    losses: int = 0
    executor: Executor | None = None

    def results(self, stop: threading.Event, pulse: Callable[[], None]) -> Iterator[Result]:
        while self.waiting or self.running:
            if stop.is_set():
                raise Stopped
            pulse()
            try:
                self._submit()
            except BrokenExecutor:
                self._begin_again()
                continue
            done, _ = wait(self.running, timeout=_WATCH_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                task = self.running.pop(future)
                try:
                    result = future.result()
                except BrokenExecutor:
                    self.waiting.append(task)
                    self._begin_again()
                    break
                self.losses = 0
                yield result

    def close(self) -> None:
        """End what has begun; what has not is not begun. Who has nothing to do ends meanwhile."""
        if self.executor is not None:
            self.executor.shutdown(wait=bool(self.running), cancel_futures=True)
            self.executor = None

    def _submit(self) -> None:
        if self.executor is None:
            self.executor = self.workers.executor()
        while self.waiting and len(self.running) < 2 * self.workers.count:
            workers, task = self.workers, self.waiting[0]
            future = self.executor.submit(_work, workers.key, workers.build, self.work, task)
            self.running[future] = self.waiting.popleft()

    def _begin_again(self) -> None:
        """With a new executor and all tasks that have no result."""
        self.losses += 1
        log.warning("a worker process was lost; its work is done again")
        self.waiting.extend(self.running.values())
        self.close()
        self.running.clear()
        if self.losses >= MOST_LOSSES:
            raise WorkersLost("Its worker processes ended again and again; the log has more.")


class _OfDask(Executor):
    """A Dask client as an executor that closes it."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._inner = client.get_executor(pure=False, retries=MOST_LOSSES)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        found: Future[Any] = self._inner.submit(fn, *args, **kwargs)
        return found

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._inner.shutdown(wait=wait and not cancel_futures)
        self._client.close()


_launching = threading.Lock()


class _Process(SpawnProcess):
    """A new process without this one's main module.

    It would run that first, and Streamlit puts the page that it shows in its place.
    """

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802
        with _launching:
            prepared = spawn.get_preparation_data

            def without_main(name: str) -> dict[str, Any]:
                given = prepared(name)
                return {key: of for key, of in given.items() if not key.startswith("init_main")}

            spawn.get_preparation_data = without_main
            try:
                return SpawnProcess._Popen(process_obj)  # noqa: SLF001
            finally:
                spawn.get_preparation_data = prepared


class _Context(SpawnContext):
    """New processes, not forks, which would take the threads' locks along."""

    Process = _Process


_built: dict[str, Any] = {}
_building = threading.Lock()


def _work(
    key: str, build: Callable[[], Any], work: Callable[[Any, Task], Result], task: Task
) -> Result:
    with _building:
        if key not in _built:
            _built.clear()
            _built[key] = build()
    return work(_built[key], task)


def _begin() -> None:
    """In a new process: behind the pages, and never longer than the one that began it."""
    os.nice(_NICENESS)
    parent = multiprocessing.parent_process()
    if parent is not None:
        watching = threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True)
        watching.start()


def _end_with(sentinel: int) -> None:
    wait_for_any([sentinel])
    os._exit(1)
