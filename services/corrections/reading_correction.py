"""A reading that is not billed was wrong: its value, its date, or all of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid5
from zoneinfo import ZoneInfo

from services.corrections.affected_bills import CannotRebill
from services.corrections.plan import CORRECTIONS, WrongReading
from services.corrections.right_read import check_day, right_of, row_of
from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.metering.outcomes import Validation
from services.readings.assessment import ReadingAssessor
from services.records.corrections import ReadingToCorrect
from services.records.readings import Reading


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """What a correction would do: the right read, None where it is withdrawn; and the rules."""

    wrong: Reading
    right: Reading | None
    validation: Validation

    @property
    def doubts(self) -> list[str]:
        """What the rules find wrong with the right read."""
        return [o.message for o in self.validation.outcomes if o.outcome in ("review", "warn")]


@dataclass(frozen=True, slots=True)
class ReadingCorrection:
    """Corrects readings on which no bill rests; each is audited and keeps the wrong one."""

    database: DatabaseService
    assessor: ReadingAssessor
    zone: ZoneInfo

    def found(self, *, reading_id: str, principal: Principal) -> ReadingToCorrect:
        """The reading, its neighbours, and the bill that rests on it if any; raises NotFound."""
        require(principal, Permission.VIEW_READINGS)
        return self.database.reading_to_correct(reading_id)

    def plan(self, wrong: WrongReading, *, principal: Principal, now: datetime) -> ReadingPlan:
        """What it would do at `now` (UTC); stores nothing.

        `bill_id` of `wrong` is empty. Raises NotFound, CannotRebill with the reason, and for the
        new value InvalidEnergy, WrongRegisters, InvalidReading or ReadingTooLong.
        """
        require(principal, Permission.VIEW_READINGS)
        found = self.found(reading_id=wrong.reading_id, principal=principal)
        read = found.reading
        if read.status != "accepted":
            raise CannotRebill(
                sentence(
                    "This reading was corrected or decided on already: look at it as it is now."
                )
            )
        if found.bill_id is not None:
            raise CannotRebill(
                sentence("A bill opens or closes at this reading: correct it on the bill.")
            )
        right = right_of(wrong, read, _new_id(read), self.zone, now=now)
        if right is None:
            if found.at_a_change:
                raise CannotRebill(
                    sentence(
                        "A read at which a meter came or went, or somebody moved, can be "
                        "corrected, not withdrawn."
                    )
                )
            return ReadingPlan(read, None, Validation(()))
        if right.read_on != read.read_on:
            check_day(
                right,
                now=now,
                at_a_change=found.at_a_change,
                before=found.before,
                after=found.after,
            )
        return ReadingPlan(read, right, self._validate(found, right))

    def execute(
        self,
        wrong: WrongReading,
        *,
        reason: str,
        acknowledged: bool,
        principal: Principal,
        now: datetime,
    ) -> Reading:
        """Do it; the reading that holds now, or the withdrawn one. A repeat changes nothing.

        Raises as `plan` does, and ReasonMissing, NotAcknowledged where the rules doubt the right
        read and nobody says that it is right, IllegalChange where a bill rests on it meanwhile.
        """
        require(principal, Permission.DECIDE_READINGS)
        if not reason.strip():
            raise ReasonMissing(sentence("Say why: the reason is kept with the reading."))
        done = self._done_before(wrong, reason=reason.strip(), principal=principal, now=now)
        if done is not None:
            return done
        plan = self.plan(wrong, principal=principal, now=now)
        if plan.doubts and not acknowledged:
            raise CannotRebill(sentence("Say that the reading is right, whatever the rules doubt."))
        return self.database.correct_reading(
            actor=principal.user,
            reason=reason.strip(),
            reading_id=plan.wrong.id,
            right=row_of(plan.right, plan.validation),
        )

    def _done_before(
        self, wrong: WrongReading, *, reason: str, principal: Principal, now: datetime
    ) -> Reading | None:
        """What the same correction made when its answer was lost, or the page was slow."""
        read = self.database.reading(wrong.reading_id)
        if (read.decided_by, read.decision_reason) != (principal.user, reason):
            return None
        if read.status == "rejected" and wrong.reading_kwh is None:
            return read
        if read.status != "superseded" or wrong.reading_kwh is None:
            return None
        try:
            made = self.database.reading(_new_id(read))
        except NotFound:
            # It was corrected on a bill.
            return None
        right = right_of(wrong, read, made.id, self.zone, now=now)
        same = right is not None and _said(right) == _said(made)
        return made if same else None

    def _validate(self, found: ReadingToCorrect, right: Reading) -> Validation:
        """What the rules find about the right read, beside those before and after it."""
        context = self.database.reading_context(
            meter_serial=right.meter_serial, read_at=right.read_at, read_on=right.read_on
        )
        if found.before is None or found.reading.is_opening:
            # Nothing came before it: the read after it is judged by it.
            self.assessor.check_possible(meter=context.meter, read=right)
            return self._of_the_next(found, right)
        history = tuple(p for p in context.history if p.read_on != found.reading.read_on)
        changed = {"last_read": found.before, "next_read": found.after, "history": history}
        if context.opening.id == found.reading.id:
            changed["opening"] = found.before
        return self.assessor.judge(context=context.model_copy(update=changed), read=right)

    def _of_the_next(self, found: ReadingToCorrect, right: Reading) -> Validation:
        if found.after is None:
            return Validation(())
        context = self.database.reading_context(
            meter_serial=right.meter_serial,
            read_at=found.after.read_at,
            read_on=found.after.read_on,
        )
        changed = {"last_read": right, "opening": right}
        return self.assessor.judge(context=context.model_copy(update=changed), read=found.after)


def _new_id(wrong: Reading) -> str:
    """The id of the read that takes the place of one that no bill rests on."""
    return str(uuid5(CORRECTIONS, f"unbilled/{wrong.id}"))


def _said(read: Reading) -> tuple[object, ...]:
    return read.register_wh, read.registers, read.rolled_over, read.read_on
