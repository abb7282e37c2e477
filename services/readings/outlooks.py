"""What each decision on a flagged reading would bill: accepting, correcting, or estimating it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.billing.chain_retry import MeterTooBusy
from services.database.errors import DatabaseRefused
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import N_, sentence, sentence_of
from services.metering.estimation import CannotEstimate
from services.metering.measured import RegisterFell
from services.metering.outcomes import RuleOutcome, Validation
from services.metering.recent_use import UnableToCompareReads
from services.metering.register_arithmetic import ReadingTooLong
from services.metering.registers import WrongRegisters
from services.quantities.energy import InvalidEnergy, format_kwh
from services.rating import UnableToPriceBill
from services.readings.assessment import ReadingAssessment
from services.readings.estimates import EstimateChanged, ReadingEstimates
from services.readings.review import ReadingReview
from services.readings.submission import InvalidReading
from services.readings.swapped import SwappedMeters
from services.records.readings import Reading
from services.records.submissions import ReadingContext

Expected = tuple[int, int] | None

# These rules say what the meter showed instead.
_SHOWED: Final[Mapping[str, str]] = {
    "transposed_digits": N_("Two digits were swapped."),
    "wrong_digit": N_("One digit was wrong."),
    "missed_decimal": N_("The decimal point was in the wrong place."),
    "swapped_meters": N_("The readings of two meters were swapped."),
    "photo": N_("The photo shows another value."),
}
# What may be in the way of a decision, each with a sentence.
REFUSALS: Final = (
    *(CannotEstimate, DatabaseRefused, EstimateChanged, InvalidEnergy, InvalidReading),
    MeterTooBusy,
    *(ReadingTooLong, ReasonMissing, UnableToCompareReads, UnableToPriceBill, WrongRegisters),
)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A register value, in Wh, that explains a flagged reading, and the reason in words."""

    register_wh: int
    reason: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a register value, in Wh, would bill in all, in minor units, for Wh after the multiplier.

    Without bills `total_minor` is None and the remark says why. Where it is refused, so that the
    decision cannot be taken, the remark says what is in the way; `fell` where that is a register
    that fell, of which a person may say that it rolled over.
    """

    register_wh: int
    total_minor: int | None = None
    currency: str = ""
    used_wh: int = 0
    remark: str = ""
    refused: bool = False
    fell: bool = False


@dataclass(frozen=True, slots=True)
class Outlooks:
    """What accepting a reading, each proposal for it, and estimating it would bill."""

    accept: Outlook
    proposals: tuple[tuple[Proposal, Outlook], ...]
    estimate: Outlook
    # How the estimate is made, and which meter it may have been swapped with.
    estimated_by: str = ""
    swapped: str = ""


@dataclass(frozen=True, slots=True)
class DecisionOutlooks:
    """Looks ahead at decisions, for administrators; stores nothing."""

    review: ReadingReview
    estimates: ReadingEstimates
    swapped: SwappedMeters

    def expected_daily_wh(self, *, context: ReadingContext, reading: Reading) -> Expected:
        """The least and most Wh a day that the rules let pass; None where nothing limits them."""
        return self.review.assessor.expected_daily_wh(context=context, read_on=reading.read_on)

    def of(
        self, *, reading: Reading, context: ReadingContext, principal: Principal, now: datetime
    ) -> Outlooks:
        """What each decision on a flagged reading would bill; `now` in UTC."""
        require(principal, Permission.VIEW_READINGS)
        swap = self.swapped.explanation(reading, context, principal=principal)
        proposals = [
            (
                proposal,
                self.if_shown(reading=reading, reading_kwh=typed, principal=principal, now=now),
            )
            for proposal in proposals_of(reading, swap)
            for typed in [format_kwh(proposal.register_wh)]
        ]
        estimate, sentence = self._if_estimated(reading, principal, now)
        return Outlooks(
            accept=self.if_shown(reading=reading, principal=principal, now=now),
            proposals=tuple(found for found in proposals if not found[1].refused),
            estimate=estimate,
            estimated_by=sentence,
            swapped=swap.message if swap else "",
        )

    def if_shown(
        self,
        *,
        reading: Reading,
        principal: Principal,
        now: datetime,
        reading_kwh: str | None = None,
        registers: Mapping[str, str] | None = None,
        rolled_over: bool = False,
    ) -> Outlook:
        """What other values would bill in the place of the flagged ones; without them, those.

        The parameters are those of `ReadingReview.preview`.
        """
        require(principal, Permission.VIEW_READINGS)
        try:
            found = self.review.preview(
                reading_id=reading.id,
                reading_kwh=reading_kwh,
                registers=registers,
                rolled_over=rolled_over,
                now=now,
            )
        except REFUSALS as error:
            fell = isinstance(error, RegisterFell)
            return Outlook(reading.register_wh, remark=sentence_of(error), refused=True, fell=fell)
        return _outlook(found)

    def _if_estimated(
        self, reading: Reading, principal: Principal, now: datetime
    ) -> tuple[Outlook, str]:
        try:
            found = self.estimates.preview_in_place(
                reading_id=reading.id, principal=principal, now=now
            )
        except REFUSALS as error:
            return Outlook(0, remark=sentence_of(error), refused=True), ""
        return _outlook(found.assessment), found.estimate.sentence


def proposals_of(reading: Reading, swap: RuleOutcome | None = None) -> list[Proposal]:
    """What the meter may have shown instead: a swapped meter's value, then as the rules explained
    the value when it came."""
    found: dict[int, Proposal] = {}
    rules = Validation.from_json({"rules": [], **reading.validation}).outcomes
    for rule in (*([swap] if swap else []), *rules):
        wh = rule.values.get("register_wh", rule.values.get("photo_wh"))
        doubts = rule.rule in _SHOWED and rule.outcome in ("review", "warn")
        if doubts and wh is not None and wh != reading.register_wh:
            found.setdefault(wh, Proposal(wh, sentence(_SHOWED[rule.rule])))
    return list(found.values())


def _outlook(assessment: ReadingAssessment) -> Outlook:
    bills, shown = assessment.bills, assessment.read.register_wh
    if not bills:
        return Outlook(shown, remark=assessment.explanation)
    return Outlook(
        shown,
        total_minor=sum(bill.rated.total_minor for bill in bills),
        currency=bills[-1].rated.currency,
        used_wh=sum(bill.consumption_wh for bill in bills),
        remark=assessment.explanation,
    )
