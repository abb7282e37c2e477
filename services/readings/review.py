"""A person decides on a flagged reading: accept it, reject it, or correct its value."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from services.ai.answers import AiVerdict, NoAiAnswer
from services.billing.chain_retry import price_until_stored
from services.database.errors import ChainMoved, IllegalChange
from services.database.service import DatabaseService
from services.identity.audit_reason import given_reason
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.integrations.deadline import Deadline
from services.languages.sentence import sentence
from services.metering.registers import parse_registers, plain_registers
from services.outbox.outbox import Outbox
from services.quantities.typed import typed_kwh
from services.readings.assessment import ReadingAssessment, ReadingAssessor
from services.readings.reading_to_bill import OUTSIDE_SECONDS
from services.readings.submission import InvalidReading
from services.records.bills import Bill, NewBill
from services.records.readings import Read, Reading
from services.records.submissions import ReadingContext, StoredReading

_LONGEST_REASON: Final = 500


class CannotBillReading(ValueError):
    """A reading that no bill can end at; the message says why."""


@dataclass(frozen=True, slots=True)
class ReadingReview:
    """Decisions on flagged readings. Each takes a principal who may and a reason; audited."""

    database: DatabaseService
    assessor: ReadingAssessor
    outbox: Outbox

    def preview(
        self,
        *,
        reading_id: str,
        reading_kwh: str | None,
        now: datetime,
        registers: Mapping[str, str] | None = None,
        rolled_over: bool = False,
    ) -> ReadingAssessment:
        """What accepting the reading, or correcting it to `reading_kwh`, would bill; no more.

        Without `registers` its further registers are kept; `rolled_over` says that the register
        passed its last digit and began again at 0, without which no fall is billed. Raises
        NotFound, InvalidEnergy, WrongRegisters, InvalidReading, ReadingTooLong, UnableToPriceBill.
        """
        right = _Right.of(reading_kwh, registers)
        return self._decide(
            self._flagged(reading_id), right=right, now=now, rolled_over=rolled_over
        )

    def ask_ai(self, *, reading_id: str, principal: Principal, now: datetime) -> AiVerdict:
        """What AI thinks of a flagged reading, for whoever decides on it; nothing is stored.

        It is asked of a reading that cannot be billed as it stands too. Raises NotFound,
        IllegalChange, InvalidReading, ReadingTooLong, NoAiAnswer.
        """
        require(principal, Permission.DECIDE_READINGS)
        if self.assessor.ai is None:
            raise NoAiAnswer(sentence("AI not asked: it is not configured."))
        flagged = self._flagged(reading_id)
        context = self._context(flagged)
        return self.assessor.ai.validate_reading(
            context=context,
            register_wh=flagged.register_wh,
            read_on=flagged.read_on,
            validation=self.assessor.judge(context=context, read=flagged),
            reading_id=reading_id,
            deadline=Deadline.after(OUTSIDE_SECONDS),
            now=now,
        )

    def accept(
        self,
        *,
        reading_id: str,
        reason: str,
        principal: Principal,
        now: datetime,
        rolled_over: bool = False,
        at_once: bool = True,
    ) -> StoredReading:
        """Accept a flagged reading as it stands and bill it where it belongs.

        Without `at_once` what follows the bill is left to the background, and AI is not asked.
        Raises ReasonMissing, NotFound, IllegalChange (somebody was faster), UnableToPriceBill.
        """
        return self._settle(
            reading_id, None, reason, principal, now, rolled_over=rolled_over, at_once=at_once
        )

    def correct(
        self,
        *,
        reading_id: str,
        reading_kwh: str,
        reason: str,
        principal: Principal,
        now: datetime,
        registers: Mapping[str, str] | None = None,
        rolled_over: bool = False,
    ) -> StoredReading:
        """Put right values in the place of flagged ones, which stay as superseded; and bill them.

        Without `registers` the further registers are kept. Raises as `accept` does, and
        InvalidEnergy, WrongRegisters, InvalidReading or ReadingTooLong for the new values.
        """
        right = _Right.of(reading_kwh, registers)
        return self._settle(reading_id, right, reason, principal, now, rolled_over=rolled_over)

    def reject(self, *, reading_id: str, reason: str, principal: Principal) -> StoredReading:
        """Set a flagged reading aside for good; raises as `accept` does."""
        require(principal, Permission.DECIDE_READINGS)
        return self.database.decide_reading(
            actor=principal.user,
            reading_id=reading_id,
            status="rejected",
            reason=given_reason(reason),
        )

    def read_again(
        self,
        *,
        reading_id: str,
        request_id: str,
        requested_on: date,
        reason: str,
        principal: Principal,
    ) -> StoredReading:
        """Set a flagged reading aside for good and put its meter on the round again.

        `request_id` is a UUID made by the caller; a request that is open for the meter stays.
        Raises as `accept` does; IllegalChange also for a meter that is installed nowhere.
        """
        require(principal, Permission.DECIDE_READINGS)
        why = given_reason(reason)
        if len(why) > _LONGEST_REASON:
            raise InvalidReading(
                sentence(
                    "Say in {most} characters why it is to be read again.",
                    most=_LONGEST_REASON,
                )
            )
        return self.database.decide_reading(
            actor=principal.user,
            reading_id=reading_id,
            status="rejected",
            reason=why,
            request={"id": request_id, "requested_on": requested_on.isoformat()},
        )

    def bills_of_stored(self, *, reading_id: str, now: datetime) -> list[NewBill]:
        """What billing an accepted reading that closes no bill would bill; nothing is stored.

        Raises NotFound, CannotBillReading, UnableToPriceBill.
        """
        reading = self.database.reading(reading_id)
        context = self._context(reading)
        if reading.status != "accepted" or reading.bill_id is not None:
            raise CannotBillReading(
                sentence("Only an accepted reading that is not billed yet can be billed.")
            )
        if reading.read_on <= context.opening.read_on:
            raise CannotBillReading(sentence("A bill ends on this day or later already."))
        return self.assessor.issuer.bills_up_to(
            context=context, closing=reading, now=now, however_short=True
        )

    def bill_stored(self, *, reading_id: str, principal: Principal, now: datetime) -> Bill:
        """Bill an accepted reading that was stored without a bill, however few days it is for.

        Raises as `bills_of_stored` does, and NotAllowed, MeterTooBusy.
        """
        require(principal, Permission.DECIDE_READINGS)

        def price_and_store() -> Bill:
            bills = self.bills_of_stored(reading_id=reading_id, now=now)
            _, moved = self.database.store_job_bills(actor=principal.user, bills=bills)
            if moved:
                raise ChainMoved("EB001", sentence("Another bill of the meter came between."))
            return self.database.bill(bills[-1].id)

        return price_until_stored(price_and_store)

    def _settle(
        self,
        reading_id: str,
        right: "_Right | None",
        reason: str,
        principal: Principal,
        now: datetime,
        *,
        rolled_over: bool,
        at_once: bool = True,
    ) -> StoredReading:
        require(principal, Permission.DECIDE_READINGS)
        why = given_reason(reason)
        deadline = Deadline.after(OUTSIDE_SECONDS)

        def price_and_store() -> StoredReading:
            flagged = self._flagged(reading_id)
            assessment = self._decide(flagged, right=right, now=now, rolled_over=rolled_over)
            if at_once:
                assessment = self.assessor.ask_ai_about_bill(assessment, deadline=deadline, now=now)
            return self._store(flagged, assessment, right, why, principal)

        stored = price_until_stored(price_and_store)
        if at_once and stored.bill and stored.outbox:
            self.outbox.perform(stored.outbox, bill=stored.bill, seconds=deadline.left())
        return stored

    def _store(
        self,
        flagged: Reading,
        assessment: ReadingAssessment,
        right: "_Right | None",
        reason: str,
        principal: Principal,
    ) -> StoredReading:
        correction = None
        if right is not None:
            correction = assessment.reading_row(source=flagged.source, submitted_by=principal.user)
            correction |= {"supersedes_id": flagged.id, "decision_reason": reason}
        return self.database.decide_reading(
            actor=principal.user,
            reading_id=flagged.id,
            status="superseded" if correction else "accepted",
            reason=reason,
            rolled_over=assessment.read.rolled_over,
            correction=correction,
            bill=assessment.bill,
            earlier=assessment.earlier,
        )

    def _flagged(self, reading_id: str) -> Reading:
        reading = self.database.reading(reading_id)
        if reading.status != "needs_review":
            raise IllegalChange("EB005", sentence("Somebody has already decided on this reading."))
        return reading

    def _context(self, reading: Reading) -> ReadingContext:
        return self.database.reading_context(
            meter_serial=reading.meter_serial, read_at=reading.read_at, read_on=reading.read_on
        )

    def _decide(
        self, flagged: Reading, *, right: "_Right | None", now: datetime, rolled_over: bool
    ) -> ReadingAssessment:
        read: Read = flagged if right is None else right.in_place_of(flagged)
        return self.assessor.assess(
            context=self._context(flagged),
            read=read,
            source=flagged.source,
            now=now,
            reading_id=flagged.id if right is None else None,
            approved=True,
            rolled_over=rolled_over,
        )


@dataclass(frozen=True, slots=True)
class _Right:
    """The right values of a reading: the total in Wh, and its further registers if they changed."""

    register_wh: int
    registers: Mapping[str, int] | None

    @classmethod
    def of(cls, reading_kwh: str | None, registers: Mapping[str, str] | None) -> "_Right | None":
        """As somebody typed them; None for no correction. Raises InvalidEnergy, WrongRegisters."""
        if reading_kwh is None:
            return None
        kept = None if registers is None else parse_registers(plain_registers(registers))
        return cls(typed_kwh(reading_kwh), kept)

    def in_place_of(self, flagged: Reading) -> Reading:
        """The reading with these values."""
        changed: dict[str, Any] = {"register_wh": self.register_wh}
        if self.registers is not None:
            changed["registers"] = dict(self.registers)
        return flagged.model_copy(update=changed)
