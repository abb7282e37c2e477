"""Readings that were collected together: judged as the main story judges each, stored as one.

They are billed by the monthly job, so of the story's steps these are 4, 5 and 7 alone.
"""

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from services.database.errors import DatabaseRefused
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.integrations.deadline import Deadline
from services.metering.register_arithmetic import ReadingTooLong
from services.readings.assessment import ReadingAssessment, ReadingAssessor
from services.readings.head_end_answer import check_not_before
from services.readings.submission import InvalidReading, Submission
from services.records.readings import ReadingSource
from services.records.submissions import ReadingContext

log = logging.getLogger(__name__)

# What AI may take for one reading, and how many are asked about at the same time.
_AI_SECONDS: Final = 10.0
_AI_THREADS: Final = 4


_SOURCE: Final[ReadingSource] = "smart"
# Why a reading is no reading of its meter; each says it in its message.
UNUSABLE: Final = (InvalidReading, ReadingTooLong, DatabaseRefused)


@dataclass
class JudgedTogether:
    """What becomes of readings, by the serial of their meter: a row to store, or why there is none.

    A row is {meter_id, reading, neighbours} as DatabaseService.store_collected takes it.
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, Exception] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadingsTogether:
    """Judges readings of smart meters that were asked for in one go."""

    database: DatabaseService
    assessor: ReadingAssessor

    def judge(
        self, submissions: Sequence[Submission], *, principal: Principal, now: datetime
    ) -> JudgedTogether:
        """Each by its meter's past, a meter once; `now` is in UTC.

        One that was stored before comes back as a row, which the database knows again. Raises
        NotAllowed, DatabaseError.
        """
        require(principal, Permission.SUBMIT_READINGS, scope="submit_readings")
        judged = JudgedTogether()
        rows = [_asked(one, principal) for one in submissions]
        assessed: list[ReadingAssessment] = []
        for one, context in zip(
            submissions, self.database.reading_contexts(rows=rows), strict=True
        ):
            try:
                if isinstance(context, DatabaseRefused):
                    raise context
                if context.replay is not None:
                    judged.rows[one.meter_serial] = _known(one, context)
                else:
                    assessed.append(self._assessed(one, context, now))
            except UNUSABLE as error:
                judged.refused[one.meter_serial] = error
            except Exception as error:
                # One meter's, whatever it is: the others are stored.
                log.exception("the reading of meter %s could not be judged", one.meter_serial)
                judged.refused[one.meter_serial] = error
        for assessment in self._asked_ai(assessed, now):
            judged.rows[assessment.context.meter.serial] = {
                "meter_id": assessment.meter_id,
                "neighbours": list(assessment.neighbours),
                "reading": assessment.reading_row(source=_SOURCE, submitted_by=principal.user),
            }
        return judged

    def _assessed(
        self, submission: Submission, context: ReadingContext, now: datetime
    ) -> ReadingAssessment:
        after = context.next_read
        check_not_before(submission, last_read_at=after.read_at if after else None)
        return self.assessor.assess(context=context, read=submission, source=_SOURCE, now=now)

    def _asked_ai(
        self, assessed: Sequence[ReadingAssessment], now: datetime
    ) -> Iterable[ReadingAssessment]:
        """With AI's verdict where the rules doubt a reading."""
        if self.assessor.ai is None:
            return assessed

        def ask(one: ReadingAssessment) -> ReadingAssessment:
            deadline = Deadline.after(_AI_SECONDS)
            return self.assessor.ask_ai_about_reading(one, bulk=True, deadline=deadline, now=now)

        with ThreadPoolExecutor(_AI_THREADS, thread_name_prefix="ai-readings") as pool:
            futures = [pool.submit(copy_context().run, ask, one) for one in assessed]
            return [future.result() for future in futures]


def _known(submission: Submission, context: ReadingContext) -> dict[str, Any]:
    """A row for a reading that is stored already; what the database finds of it counts."""
    reading = {
        "id": str(uuid4()),
        "meter_id": context.meter.id,
        "read_at": submission.read_at.isoformat(),
        "read_on": submission.read_on.isoformat(),
        "register_wh": submission.register_wh,
        "registers": dict(submission.registers),
    }
    return {"meter_id": context.meter.id, "neighbours": None, "reading": reading}


def _asked(submission: Submission, principal: Principal) -> dict[str, Any]:
    return {
        "meter_serial": submission.meter_serial,
        "read_at": submission.read_at.isoformat(),
        "read_on": submission.read_on.isoformat(),
        "register_wh": submission.register_wh,
        "registers": dict(submission.registers),
        "caller": principal.user,
    }
