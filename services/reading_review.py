"""A person decides on a flagged reading: accept it, reject it, or correct its value."""

from dataclasses import dataclass
from datetime import datetime

from services.auth import Principal, Role, require
from services.billing_desk import BillingDesk, Decision
from services.database.errors import ChainMoved, IllegalChange
from services.database.service import DatabaseService
from services.deadline import Deadline
from services.domain.energy import parse_kwh
from services.domain.records import Read, Reading, StoredReading
from services.owed_work import OwedSteps
from services.reading_to_bill import OUTSIDE_SECONDS, PRICING_ATTEMPTS, MeterTooBusy


class ReasonMissing(ValueError):
    """Whoever decides on a reading says why."""


@dataclass(frozen=True, slots=True)
class ReadingReview:
    """Decisions on flagged readings. Each takes an administrator and a reason, and is audited."""

    database: DatabaseService
    desk: BillingDesk
    owed_steps: OwedSteps

    def preview(self, *, reading_id: str, reading_kwh: str | None, now: datetime) -> Decision:
        """What accepting the reading, or correcting it to `reading_kwh`, would bill; no more.

        Raises NotFound, InvalidEnergy, ReadingTooLong, UnableToPriceBill.
        """
        return self._decide(self._flagged(reading_id), reading_kwh=reading_kwh, now=now)

    def accept(
        self, *, reading_id: str, reason: str, principal: Principal, now: datetime
    ) -> StoredReading:
        """Accept a flagged reading as it stands and bill it where it belongs.

        Raises ReasonMissing, NotFound, IllegalChange (somebody was faster), UnableToPriceBill.
        """
        return self._settle(reading_id, None, reason, principal, now)

    def correct(
        self,
        *,
        reading_id: str,
        reading_kwh: str,
        reason: str,
        principal: Principal,
        now: datetime,
    ) -> StoredReading:
        """Put a right value in the place of a flagged one, which stays as superseded; and bill it.

        Raises as `accept` does, and InvalidEnergy or ReadingTooLong for the new value.
        """
        return self._settle(reading_id, reading_kwh, reason, principal, now)

    def reject(self, *, reading_id: str, reason: str, principal: Principal) -> StoredReading:
        """Set a flagged reading aside for good; raises as `accept` does."""
        require(principal, Role.ADMIN)
        return self.database.decide_reading(
            actor=principal.user,
            reading_id=reading_id,
            status="rejected",
            reason=_given(reason),
        )

    def _settle(
        self,
        reading_id: str,
        reading_kwh: str | None,
        reason: str,
        principal: Principal,
        now: datetime,
    ) -> StoredReading:
        require(principal, Role.ADMIN)
        why = _given(reason)
        deadline = Deadline.after(OUTSIDE_SECONDS)
        for _ in range(PRICING_ATTEMPTS):
            flagged = self._flagged(reading_id)
            decision = self._decide(flagged, reading_kwh=reading_kwh, now=now)
            decision = self.desk.ask_ai_about_bill(decision, deadline=deadline, now=now)
            try:
                stored = self._store(flagged, decision, reading_kwh, why, principal)
            except ChainMoved:
                continue
            if stored.bill and stored.owed:
                self.owed_steps.perform(stored.owed, bill=stored.bill, seconds=deadline.left())
            return stored
        raise MeterTooBusy("Other readings of this meter are being billed. Try again shortly.")

    def _store(
        self,
        flagged: Reading,
        decision: Decision,
        reading_kwh: str | None,
        reason: str,
        principal: Principal,
    ) -> StoredReading:
        correction = None
        if reading_kwh is not None:
            correction = decision.reading_row(source=flagged.source, submitted_by=principal.user)
            correction |= {"supersedes_id": flagged.id, "decision_reason": reason}
        return self.database.decide_reading(
            actor=principal.user,
            reading_id=flagged.id,
            status="superseded" if correction else "accepted",
            reason=reason,
            correction=correction,
            bill=decision.bill,
        )

    def _flagged(self, reading_id: str) -> Reading:
        reading = self.database.reading(reading_id)
        if reading.status != "needs_review":
            raise IllegalChange("EB005", "Somebody has already decided on this reading.")
        return reading

    def _decide(self, flagged: Reading, *, reading_kwh: str | None, now: datetime) -> Decision:
        context = self.database.reading_context(
            meter_serial=flagged.meter_serial, read_at=flagged.read_at, read_on=flagged.read_on
        )
        read: Read = flagged
        if reading_kwh is not None:
            read = flagged.model_copy(update={"register_wh": parse_kwh(reading_kwh)})
        return self.desk.decide(
            context=context,
            read=read,
            source=flagged.source,
            now=now,
            reading_id=flagged.id if reading_kwh is None else None,
            approved=True,
        )


def _given(reason: str) -> str:
    if not reason.strip():
        raise ReasonMissing("Say why: the reason is kept with the reading.")
    return reason.strip()
