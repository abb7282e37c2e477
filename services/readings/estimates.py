"""A read that could not be taken is estimated by hand: shown with rule and bill, then stored."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from services.billing.chain_retry import price_until_stored
from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.identity.audit_reason import given_reason
from services.identity.auth import Principal, Role, require
from services.integrations.deadline import Deadline
from services.metering.estimation import CannotEstimate, Estimate, estimate
from services.outbox.outbox import Outbox
from services.quantities.period import local_date, written_day
from services.readings.assessment import ReadingAssessment, ReadingAssessor
from services.readings.reading_to_bill import OUTSIDE_SECONDS
from services.records.readings import EstimateFacts, Read
from services.records.submissions import StoredReading

_NOON = time(12)


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
        require(principal, Role.ADMIN)
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
        require(principal, Role.ADMIN)
        why = given_reason(reason)
        deadline = Deadline.after(OUTSIDE_SECONDS)
        if (before := self._stored_before(reading_id, principal)) is not None:
            return before

        def price_and_store() -> StoredReading:
            found = self._estimated(meter_serial, on, now, reading_id=reading_id)
            if found.estimate.register_wh != register_wh:
                raise EstimateChanged(
                    "Another reading of this meter came since you looked at the estimate. Nothing "
                    "was stored; look at it as it is now."
                )
            assessment = found.assessment
            return self.database.commit_reading(
                actor=principal.user,
                reading=estimated_row(found, submitted_by=principal.user, reason=why),
                neighbours=assessment.neighbours,
                bill=assessment.bill,
                earlier=assessment.earlier,
            )

        stored = price_until_stored(price_and_store)
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

    def _estimated(
        self, meter_serial: str, on: date, now: datetime, *, reading_id: str | None
    ) -> EstimatedRead:
        at = instant_of(on, now=now, zone=self.zone)
        context = self.database.reading_context(meter_serial=meter_serial, read_at=at, read_on=on)
        agreement = context.meter.agreement_id
        if agreement is None:
            raise CannotEstimate(
                f"Nobody is supplied by meter {meter_serial} on {written_day(on)}: "
                "there is nobody to bill."
            )
        facts = self.database.estimate_facts(at={agreement: on})
        if not facts or facts[0].meter_id != context.meter.id:
            raise CannotEstimate(
                f"Meter {meter_serial} was not yet, or is no longer, where it is billed on "
                f"{written_day(on)}."
            )
        found = estimate(facts[0], on=on, most_in_a_row=self.most_in_a_row())
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
        return EstimatedRead(facts[0], found, assessment)


def instant_of(on: date, *, now: datetime, zone: ZoneInfo) -> datetime:
    """When a read of a local date is taken to be: now if it is today, else at noon; UTC.

    Raises CannotEstimate for a day that has not come.
    """
    today = local_date(now, zone)
    if on > today:
        raise CannotEstimate(f"{written_day(on)} has not come yet: give a day up to today.")
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
