"""The main story: a reading becomes a bill. Read `ReadingToBill.submit` from top to bottom.

Steps 1 to 7 end in one transaction; after it nothing outside can lose the bill. Steps 8 to 13 are
outbox entries, tried at once and finished in the background when a service is slow or down.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.billing.chain_retry import price_until_stored
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission, in_order
from services.integrations.deadline import Deadline
from services.languages.sentence import joined, nsentence, sentence
from services.outbox.outbox import Outbox
from services.outbox.steps import Progress, StepLog, StepOutcome, unobserved
from services.quantities.energy import kwh_value
from services.readings.assessment import AS_DRAFT, ReadingAssessment, ReadingAssessor
from services.readings.lookups import may_read_bill_of
from services.readings.submission import Submission
from services.records.bills import Bill
from services.records.jobs import RunRef
from services.records.outbox import OUTBOX_STEPS
from services.records.readings import Reading, ReadingSource
from services.records.submissions import ReadingContext, StoredReading
from services.telemetry.context import bind

OUTSIDE_SECONDS = 10.0

_NO_BILL = sentence("no bill")
_BY_ANOTHER = sentence("submitted by somebody else")

Outcome = Literal["billed", "needs_review", "stored", "replay"]


@dataclass(frozen=True, slots=True)
class Submitted:
    """The answer to a submission: what is stored now, and how each step came out."""

    outcome: Outcome
    reading: Reading
    bill: Bill | None
    steps: tuple[StepOutcome, ...]
    explanation: str
    # Bills of earlier months that were made with `bill`, in order.
    earlier: tuple[Bill, ...] = ()


@dataclass(frozen=True, slots=True)
class _HandedIn:
    """A submission with who handed it in, when (UTC), and how; `deadline` is for providers."""

    submission: Submission
    principal: Principal
    now: datetime
    source: ReadingSource
    run: RunRef | None
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class ReadingToBill:
    """Takes a reading through the thirteen steps."""

    database: DatabaseService
    assessor: ReadingAssessor
    outbox: Outbox

    def submit(
        self,
        *,
        submission: Submission,
        principal: Principal,
        now: datetime,
        arrived_by: str,
        source: ReadingSource = "field",
        run: RunRef | None = None,
        progress: Progress = unobserved,
    ) -> Submitted:
        """Validate, price and store one reading, then work off the bill's outbox entry.

        `run` is the job's run that collected it, if any. Raises NotAllowed, InvalidReading or
        ReadingTooLong (nothing was stored), NotFound (no such meter), ReadingConflict,
        IdempotencyKeyReused, MeterTooBusy, and DatabaseError when nothing could be stored.
        """
        require(principal, Permission.SUBMIT_READINGS, scope="submit_readings")
        log = StepLog(progress)
        deadline = Deadline.after(OUTSIDE_SECONDS)
        handed_in = _HandedIn(submission, principal, now, source, run, deadline)
        self._submitted(log, handed_in)  # 1
        self._received(log, arrived_by)  # 2
        self._sign_in_verified(log, principal)  # 3
        stored, assessment = price_until_stored(lambda: self._price_and_store(log, handed_in))
        if assessment is None:
            return self._replayed(log, stored, principal)
        self._work_off_outbox(log, handed_in, stored, assessment)  # 8 to 13
        return self._answer(log, stored, assessment)

    def preview(
        self, *, submission: Submission, source: ReadingSource, now: datetime
    ) -> ReadingAssessment:
        """What `submit` would decide at this moment, with nothing stored; raises as it does."""
        context = self.database.reading_context(
            meter_serial=submission.meter_serial,
            read_at=submission.read_at,
            read_on=submission.read_on,
        )
        return self.assessor.assess(context=context, read=submission, source=source, now=now)

    def _price_and_store(
        self, log: StepLog, handed_in: _HandedIn
    ) -> tuple[StoredReading, ReadingAssessment | None]:
        """Steps 4 to 7; no assessment for a replay. Raises ChainMoved when the price is stale."""
        context = self._look_up_past_readings(log, handed_in)  # 4
        if context.replay is not None:
            self._keep_key(handed_in, context.replay)
            return context.replay, None
        assessment = self._validate(log, handed_in, context)  # 5
        assessment = self._calculate_bill(log, handed_in, assessment)  # 6
        stored = self._store(log, handed_in, assessment)  # 7
        return stored, None if stored.outcome == "replay" else assessment

    def _submitted(self, log: StepLog, handed_in: _HandedIn) -> None:
        log.begin(1)
        read = handed_in.submission
        bind(meter=read.meter_serial)
        kwh, user = kwh_value(read.register_wh), handed_in.principal.user
        said = sentence(
            "{kwh} kWh at meter {meter} by {user}", kwh=kwh, meter=read.meter_serial, user=user
        )
        log.end(1, "done", said)

    def _received(self, log: StepLog, arrived_by: str) -> None:
        log.begin(2)
        log.end(2, "done", arrived_by)

    def _sign_in_verified(self, log: StepLog, principal: Principal) -> None:
        log.begin(3)
        log.end(3, "done", f"{principal.user}, {', '.join(in_order(principal.roles))}")

    def _look_up_past_readings(self, log: StepLog, handed_in: _HandedIn) -> ReadingContext:
        log.begin(4)
        submission = handed_in.submission
        context = self.database.reading_context(
            meter_serial=submission.meter_serial,
            read_at=submission.read_at,
            read_on=submission.read_on,
            register_wh=submission.register_wh,
            registers=submission.registers,
            caller=handed_in.principal.user,
            idempotency_key=submission.idempotency_key,
            body_hash=submission.body_hash,
        )
        past = len(context.history)
        log.end(4, "done", nsentence("{count} past reading", "{count} past readings", past))
        return context

    def _validate(
        self, log: StepLog, handed_in: _HandedIn, context: ReadingContext
    ) -> ReadingAssessment:
        log.begin(5)
        assessment = self.assessor.assess(
            context=context,
            read=handed_in.submission,
            source=handed_in.source,
            now=handed_in.now,
        )
        if (jpeg := self._photo(handed_in)) is not None:
            assessment = self.assessor.compare_with_photo(
                assessment, jpeg, deadline=handed_in.deadline, now=handed_in.now
            )
        assessment = self.assessor.ask_ai_about_reading(
            assessment,
            bulk=handed_in.run is not None,
            deadline=handed_in.deadline,
            now=handed_in.now,
        )
        log.end(5, "done", assessment.validation_summary)
        return assessment

    def _photo(self, handed_in: _HandedIn) -> bytes | None:
        """The photo that came under the submission's key, where AI can read it."""
        key = handed_in.submission.idempotency_key
        if self.assessor.ai is None or key is None:
            return None
        photos = self.database.photos_of(taken_by=handed_in.principal.user, key=key, limit=1)
        shown = [one for one in photos if one.meter_serial == handed_in.submission.meter_serial]
        return self.database.photo_content(shown[0].sha256) if shown else None

    def _calculate_bill(
        self, log: StepLog, handed_in: _HandedIn, assessment: ReadingAssessment
    ) -> ReadingAssessment:
        log.begin(6)
        if assessment.bill is None:
            log.end(6, "skipped", assessment.explanation)
            return assessment
        assessment = self.assessor.ask_ai_about_bill(
            assessment, deadline=handed_in.deadline, now=handed_in.now
        )
        log.end(6, "done", assessment.bill_summary)
        return assessment

    def _store(
        self, log: StepLog, handed_in: _HandedIn, assessment: ReadingAssessment
    ) -> StoredReading:
        """The one transaction; raises ChainMoved when another bill came between."""
        log.begin(7)
        user = handed_in.principal.user
        stored = self.database.commit_reading(
            actor=user,
            idempotency_key=handed_in.submission.idempotency_key,
            body_hash=handed_in.submission.body_hash,
            reading=assessment.reading_row(source=handed_in.source, submitted_by=user),
            neighbours=assessment.neighbours,
            bill=assessment.bill,
            earlier=assessment.earlier,
            run=handed_in.run,
        )
        if stored.outcome == "replay":
            return stored
        references = [bill.reference for bill in _bills(stored)]
        bind(bill=references[-1] if references else None)
        log.end(7, "done", ", ".join(references) or sentence("reading stored, no bill"))
        return stored

    def _work_off_outbox(
        self,
        log: StepLog,
        handed_in: _HandedIn,
        stored: StoredReading,
        assessment: ReadingAssessment,
    ) -> None:
        if stored.bill is None or stored.outbox is None:
            log.skip(*OUTBOX_STEPS["bill_issued"], because=assessment.explanation or _NO_BILL)
            return
        outcomes = self.outbox.perform(
            stored.outbox,
            bill=stored.bill,
            seconds=handed_in.deadline.left(),
            progress=lambda o: log.begin(o.step) if o.status == "running" else None,
        )
        for o in outcomes:
            log.end(o.step, o.status, o.detail)

    def _answer(
        self, log: StepLog, stored: StoredReading, assessment: ReadingAssessment
    ) -> Submitted:
        bill = self.database.bill(stored.bill.id) if stored.bill else None
        outcome: Outcome = "billed" if bill else "stored"
        if stored.reading.status == "needs_review" or (bill and assessment.held):
            outcome = "needs_review"
        return Submitted(
            outcome,
            stored.reading,
            bill,
            tuple(log.outcomes),
            assessment.explanation,
            stored.earlier,
        )

    def _keep_key(self, handed_in: _HandedIn, stored: StoredReading) -> None:
        """A new key with a known reading is bound to it: with another body it is refused."""
        submission = handed_in.submission
        if submission.idempotency_key is not None:
            self.database.keep_idempotency_key(
                caller=handed_in.principal.user,
                idempotency_key=submission.idempotency_key,
                body_hash=submission.body_hash,
                reading_id=stored.reading.id,
            )

    def _replayed(self, log: StepLog, stored: StoredReading, principal: Principal) -> Submitted:
        """Answer a repeat with what the first submission left, and change nothing.

        Its bill, and what became of it, only for who may read the meter's bills.
        """
        explanation = sentence("This reading was submitted before; nothing was added.")
        if not may_read_bill_of(self.database, reading=stored.reading, principal=principal):
            log.skip(5, 6, 7, *OUTBOX_STEPS["bill_issued"], because=_BY_ANOTHER)
            shown = sentence("What it billed is shown to whoever may read this meter's bills.")
            explanation = joined((explanation, shown), by=" ")
            return Submitted("replay", stored.reading, None, tuple(log.outcomes), explanation)
        for step in (5, 6, 7):
            log.end(step, "done", sentence("as submitted before"))
        outbox = stored.outbox.steps if stored.outbox else {}
        for step in OUTBOX_STEPS["bill_issued"]:
            state = outbox.get(step)
            if state is None:
                log.skip(step, because=AS_DRAFT if stored.bill else _NO_BILL)
            else:
                log.end(step, state.status, state.detail)
        return Submitted(
            "replay", stored.reading, stored.bill, tuple(log.outcomes), explanation, stored.earlier
        )


def _bills(stored: StoredReading) -> list[Bill]:
    """All bills that the reading brought, in order."""
    return [*stored.earlier, *([stored.bill] if stored.bill else [])]
