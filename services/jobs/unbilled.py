"""Why a meter got no monthly bill: the true reason, and where it is mended."""

from collections.abc import Mapping

from services.jobs.runs import AsideCode
from services.languages.sentence import sentence
from services.metering.estimation import CannotEstimate, TooManyInARow
from services.metering.measured import RegisterFell
from services.quantities.energy import format_kwh
from services.records.bills import BillCandidate, NewBill
from services.records.jobs import SetAside, UnbilledFacts
from services.records.tariffs import NoTariffInForce
from services.tariffs import InvalidTariff

Facts = Mapping[str, UnbilledFacts]  # by meter


def aside(
    candidate: BillCandidate,
    reason: str,
    *,
    code: AsideCode = "other",
    ref: str | None = None,
    again: bool = False,
) -> SetAside:
    """A meter that is set aside; looked at again when another closing read has come, or `again`."""
    return SetAside(
        subject=candidate.serial,
        reason=reason,
        code=code,
        ref=ref,
        meter_id=candidate.meter_id,
        agreement_id=candidate.agreement_id,
        opening_id=candidate.opening.id,
        closing_id=candidate.closing.id if candidate.closing else None,
        again=again,
    )


def without_closing(candidate: BillCandidate, facts: UnbilledFacts) -> SetAside:
    """A meter that has no accepted read to close at: there is none, or it was kept back."""
    kept = facts.kept_back
    if kept is not None and kept.status == "needs_review":
        return aside(
            candidate,
            sentence(
                "The reading of {day} ({kwh} kWh) waits for review.",
                day=kept.read_on,
                kwh=format_kwh(kept.register_wh),
            ),
            code="flagged_reading",
            ref=kept.id,
        )
    said = [sentence("No reading dated up to {day}.", day=candidate.cycle_end)]
    if kept is not None:
        said.append(sentence("That of {day} was rejected.", day=kept.read_on))
    if facts.next_on is not None:
        said.append(sentence("The next one is of {day}.", day=facts.next_on))
    return aside(candidate, " ".join(said), code="no_reading")


def not_estimated(candidate: BillCandidate, why: CannotEstimate) -> SetAside:
    """A meter whose missing read is not estimated: the bill waits for a real one."""
    code: AsideCode = "estimated_too_often" if isinstance(why, TooManyInARow) else "not_estimated"
    none = sentence("No reading dated up to {day}.", day=candidate.cycle_end)
    reason = f"{none} {why}"
    return aside(candidate, reason, code=code)


def fallen(candidate: BillCandidate, fell: RegisterFell, last_bill_id: str | None) -> SetAside:
    """A meter one of whose registers shows less than at an earlier read."""
    return aside(
        candidate,
        sentence("{fact}: a person must look at its readings.", fact=fell.fact),
        code="fallen_register",
        ref=last_bill_id,
    )


def held(candidate: BillCandidate, bill: NewBill) -> SetAside:
    """A meter whose bill was made, and is kept as a draft for a person to issue."""
    said = sentence("Its bill is kept as a draft.")
    reason = f"{said} {bill.held_because}"
    return aside(candidate, reason, code="held_draft", ref=bill.id)


def not_priced(candidate: BillCandidate, error: Exception) -> SetAside:
    """A meter whose reads are there and whose bill could not be priced."""
    is_tariff = isinstance(error, NoTariffInForce | InvalidTariff)
    return aside(candidate, str(error), code="tariff_missing" if is_tariff else "not_priced")
