"""The weekly collection of the smart meters' readings, each through the main story."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from services.billing.chain_retry import MeterTooBusy
from services.database.errors import RunTakenOver
from services.database.transport import DatabaseRefused, TemporaryDatabaseError
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.head_end import HeadEnd
from services.jobs.runs import AsideCode, JobContext, JobFailed, StopRequested
from services.metering.register_arithmetic import ReadingTooLong
from services.quantities.counting import count
from services.readings.submission import InvalidReading, parse_submission
from services.records.jobs import SetAside
from services.records.readings import Meter

log = logging.getLogger(__name__)

THREADS = 4
PAGE = 100
NOTE_EVERY = 25
# Well below the lease, which each note prolongs however slow the head-end is.
NOTE_SECONDS = 15.0
# A head-end that fails so many meters one after the other is down, and the run is tried later.
MOST_FAILURES_IN_A_ROW = 20
PRINCIPAL = Principal(
    user="job:meter_collection", roles=frozenset({Role.ENGINEER}), expires_at=None, via="token"
)
NOT_CONFIGURED = "No head-end is configured."
UNEXPECTED = "An unexpected error; the log has the details."

_SAID_WHY = (
    InvalidReading,
    ReadingTooLong,
    MeterTooBusy,
    DatabaseRefused,
    FinalFailure,
)


def run(context: JobContext) -> str:
    """Ask the head-end for each active smart meter's reading and submit it; the run's summary.

    A meter whose reading cannot be had or stored is set aside with its reason. Raises JobFailed
    when the head-end is down altogether.
    """
    services = context.services
    if services.headend_url is None:
        return NOT_CONFIGURED
    token = services.settings.meter_headend_token
    head_end = HeadEnd(
        services.headend_url,
        token.get_secret_value() if token else None,
        pause=context.stop.wait,
    )
    try:
        collection = _Collection(context, head_end)
        for meters in _pages(context):
            collection.collect(meters)
    finally:
        head_end.close()
    return "Readings of the smart meters."


def _pages(context: JobContext) -> Iterator[list[Meter]]:
    """The active smart meters, without those that an interrupted attempt has done."""
    database = context.services.database
    after: str | None = None
    while True:
        context.go_on()
        page = context.patiently(lambda: database.smart_meters(after=after, limit=PAGE))  # noqa: B023
        if not page:
            return
        after = page[-1].serial
        ids = [meter.id for meter in page]
        done = context.patiently(
            lambda: database.collected_since(meter_ids=ids, since=context.run.started_at)  # noqa: B023
        )
        yield [meter for meter in page if meter.id not in done]


@dataclass
class _Collection:
    """Collects with a few threads; the run's own thread keeps its books and its lease."""

    context: JobContext
    head_end: HeadEnd
    failures_in_a_row: int = 0
    _done: int = 0
    _aside: list[SetAside] = field(default_factory=list)
    _noted_at: float = field(default_factory=time.monotonic)

    def collect(self, meters: Sequence[Meter]) -> None:
        """Collect a page of meters; raises JobFailed, RunTakenOver, StopRequested."""
        with ThreadPoolExecutor(THREADS, thread_name_prefix="meter-collection") as pool:
            pending = {
                pool.submit(copy_context().run, self._read_and_submit, meter): meter
                for meter in meters
            }
            try:
                self._wait_for(pending)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        self._note()

    def _wait_for(self, pending: dict[Future[None], Meter]) -> None:
        while pending:
            ended, _ = wait(pending, timeout=NOTE_SECONDS / 3, return_when=FIRST_COMPLETED)
            for future in ended:
                self._count(pending.pop(future), future)
            is_time = time.monotonic() > self._noted_at + NOTE_SECONDS
            if is_time or self._done + len(self._aside) >= NOTE_EVERY:
                self._note()
            if self.failures_in_a_row >= MOST_FAILURES_IN_A_ROW:
                self._note()
                raise JobFailed(
                    f"The head-end failed for {count(self.failures_in_a_row, 'meter')} one after "
                    "the other."
                )
            if self.context.stop.is_set():
                self._note()
                raise StopRequested

    def _read_and_submit(self, meter: Meter) -> None:
        """In a thread of the pool: one meter's reading from the head-end into the story."""
        self.context.go_on()
        services, now = self.context.services, self.context.clock
        answer = self.head_end.read(meter.serial)
        body = {"meter_serial": meter.serial, "registers": _known(answer, meter)}
        body |= {name: answer[name] for name in ("reading_kwh", "read_at")}
        submission = parse_submission(body, zone=services.settings.timezone, now=now())
        # Safe to repeat: the same reading again is a replay.
        self.context.patiently(
            lambda: services.reading_to_bill.submit(
                submission=submission,
                principal=PRINCIPAL,
                now=now(),
                arrived_by="collected from the head-end",
                source="smart",
                run=self.context.ref,
            )
        )

    def _count(self, meter: Meter, future: Future[None]) -> None:
        try:
            future.result()
        except (RunTakenOver, StopRequested, TemporaryDatabaseError):
            raise
        except TemporaryFailure as error:
            self.failures_in_a_row += 1
            self._aside.append(SetAside(subject=meter.serial, reason=str(error), code="head_end"))
            return
        except _SAID_WHY as error:
            code: AsideCode = "head_end" if isinstance(error, FinalFailure) else "not_collected"
            self._aside.append(SetAside(subject=meter.serial, reason=str(error), code=code))
        except Exception:
            log.exception("meter %s could not be collected", meter.serial)
            self._aside.append(SetAside(subject=meter.serial, reason=UNEXPECTED))
        else:
            self._done += 1
        self.failures_in_a_row = 0

    def _note(self) -> None:
        done, aside = self._done, self._aside
        self._done, self._aside, self._noted_at = 0, [], time.monotonic()
        self.context.note(done=done, set_aside=aside)


def _known(answer: Mapping[str, Any], meter: Meter) -> Any:
    """The registers that are read of this meter: head-ends send all that theirs have."""
    sent = answer.get("registers", {})
    if not isinstance(sent, dict):
        return sent
    return {name: value for name, value in sent.items() if name.lower() in meter.registers}
