"""The weekly collection of the smart meters' readings, and trying again on the same day.

The head-end is asked by many threads; the run's own thread has batches of answers judged and
stored, and keeps the run's books and lease. A meter without a reading is asked for again with
growing pauses until midnight, and then put on the round of whoever reads meters.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from services.billing.chain_retry import PRICING_ATTEMPTS, READINGS_BILLED
from services.database.errors import ReadingConflict
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.head_end import HeadEnd, HeadEndClosed, HeadEndLied
from services.jobs.asking import Circuit, HostQueue
from services.jobs.runs import AsideCode, JobContext, JobFailed, StopRequested
from services.languages.sentence import nsentence, sentence
from services.metering.register_arithmetic import ReadingTooLong
from services.quantities.counting import count
from services.quantities.period import local_date, start_of_day
from services.readings.head_end_answer import submission_of
from services.readings.submission import InvalidReading, Submission
from services.readings.together import UNUSABLE, ReadingsTogether
from services.records.submissions import CollectionOutcome, MeterToAsk

log = logging.getLogger(__name__)

PAGE = 500
BATCH = 100
# Well below the lease, which each note prolongs however slow the head-end is.
NOTE_SECONDS = 15.0
# A head-end that fails so many meters one after the other is down, and is left alone.
MOST_FAILURES_IN_A_ROW = 20
# Each try waits twice as long as the one before it.
FIRST_PAUSE: Final = timedelta(minutes=5)
LONGEST_PAUSE: Final = timedelta(hours=2)
# A meter is asked for again until its day ends.
LONGEST_WAIT: Final = timedelta(days=2)
PRINCIPAL = Principal(
    user="job:meter_collection", roles=frozenset({Role.ENGINEER}), expires_at=None, via="token"
)
NOT_CONFIGURED = sentence("No head-end is configured.")
UNEXPECTED = sentence("An unexpected error; the log has the details.")
ANOTHER_VALUE = sentence("Another value was submitted for this meter at this very time.")
IS_DOWN = sentence("The head-end is down: this meter was not asked for.")


def run(context: JobContext) -> str:
    """Ask the head-end for each smart meter in use and keep its reading; the run's summary.

    A meter whose reading cannot be had or stored is set aside with its reason, and asked for again
    later. Raises JobFailed when the head-end is down altogether.
    """
    return _collect(context, due_only=False)


def try_again(context: JobContext) -> str:
    """Ask again for the meters whose time has come, and hand over those whose day is over."""
    _hand_over(context)
    return _collect(context, due_only=True)


def _collect(context: JobContext, *, due_only: bool) -> str:
    services = context.services
    if services.headend_url is None:
        return NOT_CONFIGURED
    deployed = services.current_settings.deployed
    token = deployed.meter_headend_token
    head_end = HeadEnd(
        services.headend_url,
        token.get_secret_value() if token else None,
        pause=context.stop.wait,
        threads=deployed.meter_headend_concurrency,
    )
    try:
        collection = _Collection(context, head_end)
        collection.go_through(due_only=due_only)
        return collection.summary
    finally:
        head_end.close()


def _hand_over(context: JobContext) -> None:
    """Put the meters whose day is over on the round of whoever reads meters, each once.

    Without a head-end nobody can be asked any more today: all that wait are handed over.
    """
    database, zone = context.services.database, context.services.settings.timezone
    asked_no_more = context.services.headend_url is None
    while True:
        context.go_on()
        at = context.clock()
        by = at + LONGEST_WAIT if asked_no_more else at
        given_up = context.patiently(lambda: database.meters_given_up(at=by, limit=PAGE))  # noqa: B023
        rows = [
            {
                "id": str(uuid4()),
                "meter_id": one.id,
                "reason": _why_asked(
                    NOT_CONFIGURED if asked_no_more else one.reason, local_date(one.tried_at, zone)
                ),
                "requested_on": local_date(at, zone).isoformat(),
            }
            for one in given_up
        ]
        context.patiently(
            lambda: database.hand_collections_over(
                actor=context.actor,
                run=context.ref,
                at=at,  # noqa: B023
                given_up_by=by,  # noqa: B023
                rows=rows,  # noqa: B023
            )
        )
        if len(given_up) < PAGE:
            return


def _why_asked(reason: str, on: date) -> str:
    said = sentence("The head-end gave no reading on {day}.", day=on)
    return f"{said} {reason}"[:500].strip()


@dataclass
class _Collection:
    """One way through the meters; all but the asking is done by the run's own thread."""

    context: JobContext
    head_end: HeadEnd
    circuit: Circuit = field(default_factory=lambda: Circuit(MOST_FAILURES_IN_A_ROW))
    without_reading: int = 0
    next_try_at: datetime | None = None
    # What was answered and is not stored yet, by serial, and rows of what was not had.
    _had: dict[str, tuple[MeterToAsk, Submission]] = field(default_factory=dict)
    _failed: list[dict[str, Any]] = field(default_factory=list)
    _noted_at: float = field(default_factory=time.monotonic)

    @property
    def summary(self) -> str:
        """What the run did, for the office."""
        said: str = sentence("Readings of the smart meters.")
        if self.without_reading:
            none = nsentence(
                "{count} meter gave none.", "{count} meters gave none.", self.without_reading
            )
            said = f"{said} {none} {self._asked_again}"
        return said

    @property
    def _asked_again(self) -> str:
        if self.next_try_at is None:
            return ""
        local = self.next_try_at.astimezone(self.context.services.settings.timezone)
        return sentence("What is missing is asked for again from {time} on.", time=f"{local:%H:%M}")

    def go_through(self, *, due_only: bool) -> None:
        """Ask for page after page; raises JobFailed, RunTakenOver, StopRequested."""
        threads = self.context.services.current_settings.deployed.meter_headend_concurrency
        queue = HostQueue(self._ask, self.circuit, threads, most_ahead=threads + BATCH)
        with closing(queue.answers(self._meters(due_only), tick_seconds=NOTE_SECONDS / 3)) as found:
            for answered in found:
                if answered is not None:
                    self._take(*answered)
                is_time = time.monotonic() > self._noted_at + NOTE_SECONDS
                if is_time or len(self._had) + len(self._failed) >= BATCH:
                    self._store()
                if self.context.stop.is_set():
                    self._store()
                    raise StopRequested
        while self._had or self._failed:
            self._store()
        if self.circuit.open:
            failures = count(self.circuit.most_in_a_row, "meter")
            failed = sentence(
                "The head-end failed for {meters} one after the other, so no more were asked for.",
                meters=failures,
            )
            raise JobFailed(f"{failed} {self._asked_again}")

    def _meters(self, due_only: bool) -> Iterator[MeterToAsk]:
        database, run = self.context.services.database, self.context.run
        after: str | None = None
        while True:
            self.context.go_on()
            page = self.context.patiently(
                lambda: database.meters_to_ask(
                    run_started_at=run.started_at,
                    at=self.context.clock(),
                    due_only=due_only,
                    after=after,  # noqa: B023
                    limit=PAGE,
                )
            )
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1].serial

    def _ask(self, meter: MeterToAsk) -> Submission:
        """In a thread of the pool: what the head-end says that one meter shows."""
        self.context.go_on()
        services = self.context.services
        deployed = services.current_settings.deployed
        return submission_of(
            self.head_end.read(meter.serial),
            meter=meter,
            zone=services.settings.timezone,
            now=self.context.clock(),
            max_age=timedelta(days=deployed.meter_headend_max_age_days),
        )

    def _take(self, meter: MeterToAsk, answer: Future[Submission] | None) -> None:
        """Sort what came of asking for a meter; raises StopRequested."""
        if answer is None:
            self._fail(meter, "not_asked", IS_DOWN)
            return
        error = answer.exception()
        if isinstance(error, TemporaryFailure | HeadEndClosed):
            self.circuit.failed()
        else:
            self.circuit.answered()
        if error is None:
            self._had[meter.serial] = (meter, answer.result())
        elif isinstance(error, StopRequested):
            raise error
        else:
            self._fail(meter, *_meant(error, meter))

    def _fail(self, meter: MeterToAsk, outcome: CollectionOutcome, reason: str) -> None:
        """Set a meter aside until it is asked for again."""
        at, zone = self.context.clock(), self.context.services.settings.timezone
        give_up_at = start_of_day(local_date(at, zone) + timedelta(days=1), zone)
        pause = min(FIRST_PAUSE * 2 ** min(meter.tries, 10), LONGEST_PAUSE)
        next_try_at = min(at + pause, give_up_at)
        self.without_reading += 1
        self.next_try_at = min(self.next_try_at or next_try_at, next_try_at)
        self._failed.append(
            {
                "subject": meter.serial,
                "meter_id": meter.id,
                "tried_at": at.isoformat(),
                "tries": meter.tries + 1,
                "outcome": outcome,
                "reason": reason,
                "code": _ASIDE[outcome],
                "next_try_at": next_try_at.isoformat(),
                "give_up_at": give_up_at.isoformat(),
            }
        )

    def _store(self) -> None:
        """Judge and store what was answered, and keep what failed; raises RunTakenOver."""
        left, self._had = self._had, {}
        failed, self._failed = self._failed, []
        self._noted_at = time.monotonic()
        for _ in range(PRICING_ATTEMPTS):
            left = self._judge_and_store(left, failed)
            failed = []
            if not left:
                return
        for meter, _ in left.values():
            self._fail(meter, "not_stored", READINGS_BILLED)

    def _judge_and_store(
        self,
        answered: dict[str, tuple[MeterToAsk, Submission]],
        failed: Sequence[dict[str, Any]],
    ) -> dict[str, tuple[MeterToAsk, Submission]]:
        """One transaction; those that must be judged again, for another reading came between."""
        context, database = self.context, self.context.services.database
        at = context.clock()
        together = ReadingsTogether(database, context.services.assessor)
        submissions = [submission for _, submission in answered.values()]
        judged = context.patiently(lambda: together.judge(submissions, principal=PRINCIPAL, now=at))
        for serial, error in judged.refused.items():
            meter, _ = answered[serial]
            self._fail(meter, *_meant(error, meter))
        rows = [
            {"subject": serial, "tries": answered[serial][0].tries + 1, **row}
            for serial, row in judged.rows.items()
        ]
        moved, conflicts = context.patiently(
            lambda: database.store_collected(
                actor=context.actor,
                run=context.ref,
                run_started_at=context.run.started_at,
                at=at,
                rows=rows,
                failed=failed,
            )
        )
        for serial in conflicts:
            self._fail(answered[serial][0], "not_believed", ANOTHER_VALUE)
        return {serial: answered[serial] for serial in moved}


_ASIDE: Final[dict[CollectionOutcome, AsideCode]] = {
    "no_answer": "head_end",
    "not_asked": "head_end",
    "not_believed": "not_collected",
    "not_stored": "not_collected",
}


def _meant(error: BaseException, meter: MeterToAsk) -> tuple[CollectionOutcome, str]:
    """What an error says of a meter, in a word and a sentence."""
    if isinstance(error, HeadEndLied | InvalidReading | ReadingTooLong | ReadingConflict):
        return "not_believed", str(error)
    if isinstance(error, TemporaryFailure | FinalFailure):
        return "no_answer", str(error)
    if isinstance(error, UNUSABLE):
        return "not_stored", str(error)
    log.error("meter %s could not be collected", meter.serial, exc_info=error)
    return "not_stored", UNEXPECTED
