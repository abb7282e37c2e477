"""A read that could not be taken is estimated by hand: shown with rule and bill, then stored."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from services.billing.chain_retry import price_until_stored
from services.database.errors import IllegalChange, NotFound
from services.database.service import DatabaseService
from services.identity.audit_reason import given_reason
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.integrations.deadline import Deadline
from services.languages.sentence import sentence
from services.metering.estimation import CannotEstimate, Estimate, estimate
from services.outbox.outbox import Outbox
from services.quantities.period import local_date
from services.readings.assessment import ReadingAssessment, ReadingAssessor
from services.readings.reading_to_bill import OUTSIDE_SECONDS
from services.records.readings import EstimateFacts, Read, Reading
from services.records.submissions import StoredReading

_NOON = time(12)
_CHANGED = sentence(
    "Another reading of this meter came since you looked at the estimate. Nothing was stored; look "
    "at it as it is now."
)


class EstimateChanged(Exception):
    """What was looked at is not what would be stored now; nothing was stored."""


@dataclass(frozen=True, slots=True)
class EstimatedRead:
    """An estimate with what it rests on, and what storing it would bill."""

    facts: EstimateFacts
    estimate: Estimate
    assessment: ReadingAssessment


@dataclass(frozen=True, slots=True)
class ReadingEstimates:
    """Estimates reads, for administrators; each is audited and kept with its rule and values."""

    database: DatabaseService
    assessor: ReadingAssessor
    outbox: Outbox
    zone: ZoneInfo
    most_in_a_row: Callable[[], int]

    def preview(
        self, *, meter_serial: str, on: date, principal: Principal, now: datetime
    ) -> EstimatedRead:
        """What the meter would show on a local date, and what that bills; stores nothing.

        `now` is in UTC. Raises CannotEstimate with why, NotFound, UnableToPriceBill.
        """
        require(principal, Permission.VIEW_READINGS)
        return self._estimated(meter_serial, on, now, reading_id=None)

    def store(
        self,
        *,
        reading_id: str,
        meter_serial: str,
        on: date,
        register_wh: int,
        reason: str,
        principal: Principal,
        now: datetime,
    ) -> StoredReading:
        """Store the estimate that was looked at, and bill it; a repeat answers with the first.

        `reading_id` is made by the caller, `register_wh` is what the preview showed. Raises as
        `preview` does, and ReasonMissing, EstimateChanged, MeterTooBusy.
        """
        require(principal, Permission.DECIDE_READINGS)
        why = given_reason(reason)
        deadline = Deadline.after(OUTSIDE_SECONDS)
        if (before := self._stored_before(reading_id, principal)) is not None:
            return before

        def price_and_store() -> StoredReading:
            found = self._estimated(meter_serial, on, now, reading_id=reading_id)
            if found.estimate.register_wh != register_wh:
                raise EstimateChanged(_CHANGED)
            assessment = found.assessment
            return self.database.commit_reading(
                actor=principal.user,
                reading=estimated_row(found, submitted_by=principal.user, reason=why),
                neighbours=assessment.neighbours,
                bill=assessment.bill,
                earlier=assessment.earlier,
            )

        return self._performed(price_until_stored(price_and_store), deadline)

    def preview_in_place(
        self, *, reading_id: str, principal: Principal, now: datetime
    ) -> EstimatedRead:
        """What estimating a flagged reading instead would store and bill; stores nothing.

        `now` is in UTC. Raises as `preview` does, and IllegalChange where somebody decided.
        """
        require(principal, Permission.VIEW_READINGS)
        return self._estimated_in_place(reading_id, now, estimate_id=None)[1]

    def store_in_place(
        self,
        *,
        estimate_id: str,
        reading_id: str,
        register_wh: int,
        reason: str,
        principal: Principal,
        now: datetime,
    ) -> StoredReading:
        """Store the estimate in the place of a flagged reading, which stays as superseded.

        `estimate_id` is made by the caller, `register_wh` is what the preview showed; a repeat
        answers with the first. Raises as `store` does, and IllegalChange where somebody decided.
        """
        require(principal, Permission.DECIDE_READINGS)
        why = given_reason(reason)
        deadline = Deadline.after(OUTSIDE_SECONDS)
        if (before := self._stored_before(estimate_id, principal)) is not None:
            return before

        def price_and_store() -> StoredReading:
            flagged, found = self._estimated_in_place(reading_id, now, estimate_id=estimate_id)
            if found.estimate.register_wh != register_wh:
                raise EstimateChanged(_CHANGED)
            row = estimated_row(found, submitted_by=principal.user, reason=why)
            return self.database.decide_reading(
                actor=principal.user,
                reading_id=flagged.id,
                status="superseded",
                reason=why,
                correction=row | {"supersedes_id": flagged.id},
                bill=found.assessment.bill,
                earlier=found.assessment.earlier,
            )

        return self._performed(price_until_stored(price_and_store), deadline)

    def _performed(self, stored: StoredReading, deadline: Deadline) -> StoredReading:
        if stored.bill and stored.outbox:
            self.outbox.perform(stored.outbox, bill=stored.bill, seconds=deadline.left())
        return stored

    def _stored_before(self, reading_id: str, principal: Principal) -> StoredReading | None:
        try:
            reading = self.database.reading(reading_id)
        except NotFound:
            return None
        # A reading that is there is answered as it was stored, whatever else is said of it.
        return self.database.commit_reading(
            actor=principal.user,
            reading={"id": reading.id, "meter_id": reading.meter_id},
            neighbours=(),
            bill=None,
        )

    def _estimated_in_place(
        self, reading_id: str, now: datetime, *, estimate_id: str | None
    ) -> tuple[Reading, EstimatedRead]:
        flagged = self.database.reading(reading_id)
        if flagged.status != "needs_review":
            raise IllegalChange("EB005", sentence("Somebody has already decided on this reading."))
        found = self._estimated_at(
            flagged.meter_serial,
            flagged.read_on,
            flagged.read_at,
            now,
            reading_id=estimate_id,
            replaced_on=flagged.read_on,
        )
        return flagged, found

    def _estimated(
        self, meter_serial: str, on: date, now: datetime, *, reading_id: str | None
    ) -> EstimatedRead:
        at = instant_of(on, now=now, zone=self.zone)
        return self._estimated_at(meter_serial, on, at, now, reading_id=reading_id)

    def _estimated_at(
        self,
        meter_serial: str,
        on: date,
        at: datetime,
        now: datetime,
        *,
        reading_id: str | None,
        replaced_on: date | None = None,
    ) -> EstimatedRead:
        """`replaced_on` is the local date of the flagged reading that the estimate replaces."""
        context = self.database.reading_context(meter_serial=meter_serial, read_at=at, read_on=on)
        agreement = context.meter.agreement_id
        if agreement is None:
            raise CannotEstimate(
                sentence(
                    "Nobody is supplied by meter {meter_serial} on {day}: there is nobody to bill.",
                    meter_serial=meter_serial,
                    day=on,
                )
            )
        facts = self.database.estimate_facts(at={agreement: on})
        if not facts or facts[0].meter_id != context.meter.id:
            raise CannotEstimate(
                sentence(
                    "Meter {meter_serial} was not yet, or is no longer, where it is billed on "
                    "{day}.",
                    meter_serial=meter_serial,
                    day=on,
                )
            )
        known = facts[0]
        if known.waiting_on is not None and known.waiting_on == replaced_on:
            # The one that is decided on now.
            known = known.model_copy(update={"waiting_on": None})
        found = estimate(known, on=on, most_in_a_row=self.most_in_a_row())
        assessment = self.assessor.assess(
            context=context,
            read=Read(
                id="",
                meter_id=context.meter.id,
                read_at=at,
                read_on=on,
                register_wh=found.register_wh,
            ),
            source="estimated",
            now=now,
            reading_id=reading_id,
            approved=True,
        )
        return EstimatedRead(known, found, assessment)


def instant_of(on: date, *, now: datetime, zone: ZoneInfo) -> datetime:
    """When a read of a local date is taken to be: now if it is today, else at noon; UTC.

    Raises CannotEstimate for a day that has not come.
    """
    today = local_date(now, zone)
    if on > today:
        raise CannotEstimate(sentence("{day} has not come yet: give a day up to today.", day=on))
    if on == today:
        return now
    return datetime.combine(on, _NOON, tzinfo=zone).astimezone(UTC)


def estimated_row(found: EstimatedRead, *, submitted_by: str, reason: str) -> dict[str, Any]:
    """The estimated read as the database stores it."""
    row = found.assessment.reading_row(source="estimated", submitted_by=submitted_by)
    return row | {
        "validation": {"verdict": "accepted", "rules": [], "estimate": found.estimate.to_json()},
        "decision_reason": reason,
    }
