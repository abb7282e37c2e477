"""What becomes of a read: judged by the rules and AI, for the story, reviews and previews."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Literal, Protocol

from services.ai.answers import AiVerdict, DialReading, NoAiAnswer
from services.ai.questions import is_computed
from services.ai.second_opinion import SecondOpinion
from services.ai.service import AiService
from services.billing.issuing import BillIssuer
from services.integrations.deadline import Deadline
from services.languages.sentence import Sentence, joined, nsentence, sentence, sentence_of
from services.metering.interval_rules import interval_outcomes
from services.metering.measured import Metering
from services.metering.outcomes import RuleOutcome, Validation, why_suspicious
from services.metering.recent_use import UnableToCompareReads, Use
from services.metering.register_arithmetic import check_fits_dials
from services.metering.register_validation import RegisterRules, calendars_in_force
from services.metering.registers import WrongRegisters, check_registers
from services.metering.segments import segments_between
from services.metering.unreviewed import with_confirmed
from services.metering.validation import validate_reading
from services.quantities.energy import kwh_value
from services.quantities.money import Money
from services.quantities.named_ids import ordered_id
from services.rating import UnableToPriceBill
from services.readings.submission import CONNECTED_LATER, InvalidReading
from services.records.bills import NewBill
from services.records.readings import Meter, Read, Reading, ReadingSource, ReadPoint
from services.records.submissions import ReadingContext
from services.records.tariffs import TariffVersion
from services.records.use_limits import LimitBook

# Of the seconds that providers have together: what AI leaves to those after it, and the
# most that it may take for the reading, so that the bill's second opinion has its part.
SECONDS_AFTER_AI = 4.0
SECONDS_FOR_READING = 3.0
SECONDS_FOR_PHOTO = 3.0

NOT_SUSPICIOUS = sentence("AI was not asked: the rules found nothing unusual.")
_NOT_DOUBTED = sentence("AI was not asked: the rules doubt nothing.")
_TARIFF_CHANGES = sentence("AI not asked: the tariff changes within the bill's days.")
_SETTLES = sentence("AI not asked: the bill settles estimated bills before it.")
_TARIFF_IS_MORE = sentence("AI not asked: it cannot compute all that this tariff has.")
AS_DRAFT = sentence("The bill is kept as a draft until the office issues it.")
_BY_THE_JOB = sentence("Stored; the monthly job bills it.")
_UNBILLED = sentence(
    "Nobody has an agreement for this place on that day: stored, and reported as use that is "
    "billed to nobody."
)
_FOR_REVIEW = sentence("Kept for review: it is billed once the office has accepted it.")
_TOO_FAR_APART = sentence("That is too far apart: the bill is held for review.")

# Smart and imported reads are stored and validated; the monthly job bills them.
BILLED_AT_ONCE: frozenset[ReadingSource] = frozenset({"field", "customer", "estimated"})


class ReadValue(Protocol):
    """A register value in Wh at an instant (UTC) on a local date."""

    @property
    def register_wh(self) -> int:
        """Wh, before the multiplier."""
        ...

    @property
    def read_at(self) -> datetime:
        """UTC."""
        ...

    @property
    def read_on(self) -> date:
        """Local date."""
        ...

    @property
    def registers(self) -> Mapping[str, int]:
        """The further registers by name, in Wh or W before the multiplier."""
        ...


@dataclass(frozen=True, slots=True)
class ReadingAssessment:
    """What becomes of a read: its validation, and its bill or why there is none.

    Where reads of earlier months wait, there are `earlier` bills; `bill` is the last one, which
    ends at an earlier read where this one would make too short a bill. The remarks say what AI
    thought of the reading and of the bill, or why it gave no answer; they are empty where there is
    no AI. `ai_asked` says whether it was asked about the reading, or would have been but for its
    budget, `ai_spared` whether it was not, as there is nothing to ask.
    """

    read: Read
    meter_id: str
    status: Literal["accepted", "needs_review"]
    validation: Validation
    bill: NewBill | None
    explanation: str
    context: ReadingContext = field(repr=False)
    ai_verdict: AiVerdict | None = None
    reading_remark: str = ""
    ai_asked: bool = False
    ai_spared: bool = False
    bill_remark: str = ""
    earlier: tuple[NewBill, ...] = ()
    # AI's second opinion, or its length, holds the bill, whatever the setting of approval.
    held: bool = False

    @property
    def bills(self) -> tuple[NewBill, ...]:
        """All its bills, in order."""
        return () if self.bill is None else (*self.earlier, self.bill)

    @property
    def neighbours(self) -> tuple[str | None, str | None]:
        """Ids of the accepted reads before and after it, which the rules compared it with."""
        return self.context.neighbours

    @property
    def validation_summary(self) -> str:
        """One phrase for step 5."""
        doubts = [r.message for r in self.validation.outcomes if r.outcome in ("review", "warn")]
        if not self.reading_remark and not doubts:
            return sentence("all rules passed")
        said = doubts or [sentence("All rules passed.")]
        return joined(filter(None, (*said, self.reading_remark)), by=" ")

    @property
    def bill_summary(self) -> str:
        """One phrase for step 6."""
        if self.bill is None:
            return self.explanation
        priced: Sentence = sentence(
            "{kwh} kWh, {amount}",
            kwh=kwh_value(self.bill.consumption_wh),
            amount=Money(self.bill.rated.total_minor, self.bill.rated.currency),
        )
        if self.earlier:
            priced = nsentence(
                "{bill}; {count} earlier bill, one a month",
                "{bill}; {count} earlier bills, one a month",
                len(self.earlier),
                bill=priced,
            )
        return joined((priced, self.bill_remark), by=". ") if self.bill_remark else priced

    def with_ai_verdict(self, verdict: AiVerdict) -> "ReadingAssessment":
        """With AI's verdict, which may ask for a review and never waives one."""
        heard = replace(self, ai_verdict=verdict, reading_remark=verdict.sentence, ai_asked=True)
        if not verdict.asks_for_review:
            return heard
        return replace(heard, status="needs_review", bill=None, earlier=(), explanation=_FOR_REVIEW)

    def with_photo(self, found: RuleOutcome) -> "ReadingAssessment":
        """With what the photo of the dial shows beside what was typed."""
        heard = replace(self, validation=self.validation.with_outcomes([found]))
        if found.outcome != "review":
            return heard
        return replace(heard, status="needs_review", bill=None, earlier=(), explanation=_FOR_REVIEW)

    def not_priced(self, *, because: str) -> "ReadingAssessment":
        """Without a bill that cannot be priced: the reading is kept for review with the reason."""
        outcome = RuleOutcome("unable_to_price", "review", because)
        return replace(
            self,
            status="needs_review",
            validation=self.validation.with_outcomes([outcome]),
            explanation=joined((because, _FOR_REVIEW), by=" "),
        )

    def compared_with(self, opinion: SecondOpinion) -> "ReadingAssessment":
        """With AI's second opinion on the bill, which may hold it as a draft; amounts stay."""
        if self.bill is None:
            return self
        bill = replace(self.bill, second_opinion=opinion.to_json())
        remark = opinion.sentence
        if not opinion.held:
            return replace(self, bill=bill, bill_remark=remark)
        return replace(
            self,
            # A draft has no outbox entry until it is issued.
            bill=replace(bill, issue=None, outbox=None),
            bill_remark=joined((remark, _TOO_FAR_APART), by=" "),
            explanation=joined(dict.fromkeys((remark, *_reasons(self.bills), AS_DRAFT)), by=" "),
            held=True,
        )

    def reading_row(self, *, source: ReadingSource, submitted_by: str) -> dict[str, Any]:
        """The reading as the database stores it."""
        return {
            "id": self.read.id,
            "meter_id": self.meter_id,
            "read_at": self.read.read_at.isoformat(),
            "read_on": self.read.read_on.isoformat(),
            "register_wh": self.read.register_wh,
            "registers": self.read.registers,
            "rolled_over": self.read.rolled_over,
            "source": source,
            "status": self.status,
            "submitted_by": submitted_by,
            "validation": self._validation_json(),
        }

    def _validation_json(self) -> dict[str, Any]:
        """The rules' outcomes as they are, and what AI said beside them."""
        kept = self.validation.to_json()
        if self.ai_verdict is not None:
            kept["ai"] = self.ai_verdict.to_json()
            if self.ai_verdict.asks_for_review:
                kept["verdict"] = "needs_review"
        elif self.ai_asked:
            kept["ai"] = {"remark": self.reading_remark}
        elif self.ai_spared:
            kept["ai_spared"] = True
        return kept


def _photo_outcome(dial: DialReading, typed_wh: int) -> RuleOutcome:
    """The typed value beside what a photo shows; whole kWh, for the last drum is hard to read."""
    if dial.register_wh is None or not dial.is_sure:
        unsure = sentence("AI could not read the photo for sure.")
        return RuleOutcome("photo", "not_applicable", unsure)
    values = {"photo_wh": dial.register_wh, "typed_wh": typed_wh}
    if dial.register_wh // 1000 == typed_wh // 1000:
        same = sentence("The photo shows the value that was typed.")
        return RuleOutcome("photo", "pass", same, values)
    other = sentence(
        "The photo seems to show {kwh} kWh (AI, {percent}% sure), and {typed_kwh} kWh was typed.",
        kwh=kwh_value(dial.register_wh),
        percent=dial.confidence,
        typed_kwh=kwh_value(typed_wh),
    )
    return RuleOutcome("photo", "review", other, values)


def _why_ai_is_not_asked(bill: NewBill, version: TariffVersion) -> str:
    """Why AI is not to compute a bill as well, or nothing."""
    if any(line.billed_before for line in bill.rated.lines):
        return _SETTLES
    if any(line.part for line in bill.rated.lines):
        return _TARIFF_CHANGES
    return "" if is_computed(version) else _TARIFF_IS_MORE


def _reasons(bills: Sequence[NewBill]) -> Iterator[str]:
    """Why some of the bills are held."""
    yield from (bill.held_because for bill in bills if bill.held_because)


@dataclass(frozen=True, slots=True)
class ReadingAssessor:
    """Judges reads by the rules and by AI, and has `issuer` draw up the bills of those to bill."""

    issuer: BillIssuer
    ai: AiService | None = None
    # What limits uses beside the meters' own past, as it holds now.
    limit_book: Callable[[], LimitBook] = LimitBook

    def assess(
        self,
        *,
        context: ReadingContext,
        read: ReadValue,
        source: ReadingSource,
        now: datetime,
        reading_id: str | None = None,
        approved: bool = False,
        rolled_over: bool = False,
    ) -> ReadingAssessment:
        """Validate a read against its meter's history and, when it is to be billed, price it.

        `approved` says that a person accepted it whatever the rules said, `rolled_over` that the
        register passed its last digit before it; `now` is in UTC. A read whose bill cannot be
        priced is for review; an approved one raises UnableToPriceBill, and RegisterFell also where
        the monthly job is to make it the meter's first one.
        Raises InvalidReading or ReadingTooLong (this meter cannot have such a read).
        """
        validation = self.judge(context=context, read=read)
        closing = Read(
            id=reading_id or ordered_id(read.read_at),
            meter_id=context.meter.id,
            read_at=read.read_at,
            read_on=read.read_on,
            register_wh=read.register_wh,
            registers=dict(read.registers),
            rolled_over=approved and rolled_over,
            source=source,
        )
        status = "accepted" if approved else validation.verdict
        why_not = self._why_not_billed(context, closing, source, status)
        assessment = ReadingAssessment(
            read=closing,
            meter_id=context.meter.id,
            status=status,
            validation=validation,
            bill=None,
            explanation=why_not,
            context=context,
        )
        if why_not:
            if approved and why_not == _BY_THE_JOB and context.opening.bill_id is None:
                self._measure(context, closing)
            return assessment
        try:
            bills = self.issuer.bills_up_to(context=context, closing=closing, now=now)
        except UnableToPriceBill as error:
            if approved:
                raise
            return assessment.not_priced(because=sentence_of(error))
        return self._with_bills(assessment, bills)

    def _with_bills(
        self, assessment: ReadingAssessment, bills: Sequence[NewBill]
    ) -> ReadingAssessment:
        closing = assessment.read
        last = bills[-1].closing if bills else assessment.context.opening
        said = [*_reasons(bills)]
        if any(bill.issue is None for bill in bills):
            said.append(AS_DRAFT)
        if last.id != closing.id:
            said.append(
                nsentence(
                    "Only {count} day after the last billed read of {day}: stored, billed with the "
                    "next reading.",
                    "Only {count} days after the last billed read of {day}: stored, billed with "
                    "the next reading.",
                    (closing.read_on - last.read_on).days,
                    day=last.read_on,
                )
            )
        return replace(
            assessment,
            bill=bills[-1] if bills else None,
            earlier=tuple(bills[:-1]),
            explanation=joined(said, by=" ") if said else "",
            held=any(bill.held_because for bill in bills),
        )

    def judge(self, *, context: ReadingContext, read: ReadValue) -> Validation:
        """What the rules find about a read, beside those before and after it in the context.

        Raises InvalidReading or ReadingTooLong (this meter cannot have such a read).
        """
        meter = context.meter
        self.check_possible(meter=meter, read=read)
        if context.last_read is None:
            if meter.opened_on is None:
                raise InvalidReading(
                    sentence("Meter {meter} is not installed anywhere.", meter=meter.serial)
                )
            raise InvalidReading(sentence(CONNECTED_LATER, meter=meter.serial, day=meter.opened_on))
        if meter.removed_on is not None and read.read_on > meter.removed_on:
            raise InvalidReading(
                sentence(
                    "Meter {meter} was removed on {day}; the reading is dated after that.",
                    meter=meter.serial,
                    day=meter.removed_on,
                )
            )
        # What was estimated too high is no negative use (Elexon CP0789: an actual read settles it).
        return self._validate(context, read, context.last_actual or context.last_read)

    def expected_daily_wh(
        self, *, context: ReadingContext, read_on: date
    ) -> tuple[int, int] | None:
        """The least and most Wh a day that pass the rules; None where nothing limits the use."""
        last = context.last_point
        if last is None:
            return None
        meter = context.meter
        try:
            use = Use.of(
                read_on,
                last,
                with_confirmed(context.history, context.waiting, meter.dials),
                meter.dials,
                meter.multiplier_milli,
                limits=context.limits(self.limit_book(), on=read_on),
                peers=context.peers,
            )
        except UnableToCompareReads:
            return None
        if use.most_wh is None:
            return None
        most = int(use.most_wh / max(use.days, 1))
        return (min(use.expected.low_wh, most) if use.expected else 0, most)

    def check_possible(self, *, meter: Meter, read: ReadValue) -> None:
        """Raise InvalidReading or ReadingTooLong where a meter cannot show such a read."""
        check_fits_dials(register_wh=read.register_wh, dials=meter.dials)
        try:
            check_registers(
                read.registers, of_meter=meter.registers, serial=meter.serial, dials=meter.dials
            )
        except WrongRegisters as error:
            raise InvalidReading(sentence_of(error)) from None

    def ask_ai_about_reading(
        self, assessment: ReadingAssessment, *, bulk: bool, deadline: Deadline, now: datetime
    ) -> ReadingAssessment:
        """The decision with AI's verdict, or with why there is none; `now` in UTC.

        AI is asked about what is suspicious, in bulk only about what the rules doubt. Never fails.
        """
        if self.ai is None:
            return assessment
        if bulk and not assessment.validation.is_doubted:
            return replace(assessment, reading_remark=_NOT_DOUBTED, ai_spared=True)
        if not why_suspicious(assessment.validation):
            return replace(assessment, reading_remark=NOT_SUSPICIOUS, ai_spared=True)
        try:
            verdict = self.ai.validate_reading(
                context=assessment.context,
                register_wh=assessment.read.register_wh,
                read_on=assessment.read.read_on,
                validation=assessment.validation,
                reading_id=assessment.read.id,
                deadline=deadline.leaving(SECONDS_AFTER_AI).at_most(SECONDS_FOR_READING),
                now=now,
            )
        except NoAiAnswer as why:
            return replace(assessment, reading_remark=sentence_of(why), ai_asked=True)
        return assessment.with_ai_verdict(verdict)

    def compare_with_photo(
        self, assessment: ReadingAssessment, jpeg: bytes, *, deadline: Deadline, now: datetime
    ) -> ReadingAssessment:
        """The decision with what AI reads on the meter's photo; `now` in UTC. Never fails.

        Another value than the typed one is a doubt for a person, and never takes its place.
        """
        if self.ai is None:
            return assessment
        try:
            dial = self.ai.read_dial(
                jpeg=jpeg,
                dials=assessment.context.meter.dials,
                reading_id=assessment.read.id,
                deadline=deadline.leaving(SECONDS_AFTER_AI).at_most(SECONDS_FOR_PHOTO),
                now=now,
            )
        except NoAiAnswer as why:
            why_not = sentence_of(why)
            return assessment.with_photo(RuleOutcome("photo", "not_applicable", why_not))
        return assessment.with_photo(_photo_outcome(dial, assessment.read.register_wh))

    def ask_ai_about_bill(
        self, assessment: ReadingAssessment, *, deadline: Deadline, now: datetime
    ) -> ReadingAssessment:
        """The decision with AI's second opinion on its bill, or with why there is none.

        `now` in UTC. Never fails.
        """
        bill = assessment.bill
        if self.ai is None or bill is None:
            return assessment
        version = next(v for v in assessment.context.tariffs if v.id == bill.tariff_version_id)
        if not_asked := _why_ai_is_not_asked(bill, version):
            return replace(assessment, bill_remark=not_asked)
        try:
            opinion = self.ai.calculate_bill(
                bill=bill,
                version=version,
                deadline=deadline.leaving(SECONDS_AFTER_AI),
                now=now,
            )
        except NoAiAnswer as why:
            return replace(assessment, bill_remark=sentence_of(why))
        compared = assessment.compared_with(opinion)
        if not opinion.held:
            return compared
        # The bills that the last bill's message was to mention have messages of their own again.
        earlier = self.issuer.with_all_outboxes(compared.bills)[:-1]
        return replace(compared, earlier=tuple(earlier))

    def _validate(self, context: ReadingContext, read: ReadValue, last_read: Reading) -> Validation:
        """The rules against the last read, and against the read that the bill would open at.

        The two differ where reads came in late or unbilled; the bill runs from the second.
        """
        meter, opening, after = context.meter, context.opening, context.next_read
        # An estimate that came out too low says nothing against a read before it.
        next_read = after.point if after and after.is_actual else None

        def against(earlier: Reading) -> Validation:
            return validate_reading(
                register_wh=read.register_wh,
                read_on=read.read_on,
                last_read=earlier.point,
                next_read=next_read,
                history=context.history,
                dials=meter.dials,
                multiplier_milli=meter.multiplier_milli,
                opening_on=opening.read_on,
                limits=context.limits(self.limit_book(), on=read.read_on),
                waiting=context.waiting,
                peers=context.peers,
                other_registers=earlier.registers,
            )

        rules = RegisterRules(
            read=ReadPoint(read.register_wh, read.read_on, read.registers),
            last_read=last_read.point,
            next_read=next_read,
            history=context.history,
            calendars=calendars_in_force(context.tariffs, on=opening.read_on),
            dials=meter.dials,
            multiplier_milli=meter.multiplier_milli,
        )
        found = against(last_read).with_outcomes(rules.outcomes())
        if context.pricing.intervals and len(context.installations) <= 1:
            found = found.with_outcomes(
                interval_outcomes(
                    context.pricing.intervals,
                    opening=opening.point,
                    closing=ReadPoint(read.register_wh, read.read_on),
                    dials=meter.dials,
                    multiplier_milli=meter.multiplier_milli,
                )
            )
        if opening.id == last_read.id or opening.read_at >= last_read.read_at:
            return found
        if len(context.installations) > 1:
            # The bill opens at another meter's read, or one under another multiplier.
            return found
        return found.with_outcomes_of(against(opening))

    def _why_not_billed(
        self, context: ReadingContext, closing: Read, source: ReadingSource, status: str
    ) -> str:
        """Why a read gets no bill now, or nothing."""
        opening = context.opening
        if status == "needs_review":
            return _FOR_REVIEW
        if context.meter.agreement_id is None:
            return _UNBILLED
        if closing.read_at < opening.read_at:
            return sentence(
                "Dated before the last billed read of {day}: kept as evidence, and billed only "
                "when that bill is voided and reissued.",
                day=opening.read_on,
            )
        if context.same_day or closing.read_on == opening.read_on:
            return sentence("A second reading of this meter on one day: stored, not billed.")
        if source not in BILLED_AT_ONCE:
            return _BY_THE_JOB
        return ""

    def _measure(self, context: ReadingContext, closing: Read) -> None:
        """Raise RegisterFell where no job could ever bill up to a read that a person accepts.

        So it is before the first bill; later the bill before it can be corrected.
        """
        segments = segments_between(
            opening=context.opening,
            closing=closing,
            installations=context.installations,
            constants=context.meter.constants,
        )
        Metering.over(
            segments,
            opening=context.opening,
            closing=closing,
            inputs=context.pricing.model_copy(
                update={"rolled_over": any(read.rolled_over for read in context.between)}
            ),
            between=context.between,
            zone=self.issuer.zone,
        )
