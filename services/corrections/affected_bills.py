"""Which bills a correction affects and why, and what each is reissued as."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from zoneinfo import ZoneInfo

from services.billing.draw_up import measured_bill, past_of_new
from services.corrections.bill_changes import AffectedBills, BillChange
from services.languages.sentence import N_, sentence, sentence_of
from services.quantities.period import EmptyPeriod
from services.rating import UnableToPriceBill
from services.records.bills import BilledBefore, Issue, NewBill, PastBill
from services.records.corrections import BillChain, ChainBill, looks_back, past_of
from services.records.readings import Read, Reading

_CLOSES: Final = N_("It closes at the corrected reading.")
_OPENS: Final = N_("It opens at the corrected reading.")
_MERGED: Final = N_("The reading between them is withdrawn: one bill runs over both.")
_LAST: Final = N_("The reading that it closes at is withdrawn, and no later bill follows.")
_PRICED: Final = N_("The corrected version of its tariff priced it, or some of its days.")
_OTHER_TARIFF: Final = N_("It is priced by the other tariff.")
_DEPENDS: Final = N_("Its tariff looks back at the bills before it.")
_SETTLES: Final = N_("It settles estimated bills before it, and one of those changes.")
_VOIDED: Final = N_("It is voided, and no bill takes its place.")


class CannotRebill(ValueError):
    """These bills cannot be corrected in this way; the text says why, to a person."""


def by_reading(chain: BillChain, wrong: Reading, right: Reading | None) -> list[AffectedBills]:
    """What a corrected read touches, or a withdrawn one (`right` None). Raises CannotRebill."""
    closer = next((b for b in chain.bills if b.closing_reading_id == wrong.id), None)
    opener = next((b for b in chain.bills if b.opening_reading_id == wrong.id), None)
    if right is None:
        return _with_dependents(chain, _withdrawn(chain, closer, opener))
    found = []
    if closer:
        found.append(replace(reissued(chain, closer, _CLOSES), closing=right))
    if opener:
        found.append(replace(reissued(chain, opener, _OPENS), opening=right))
    if not found:
        raise CannotRebill(sentence("No bill opens or closes at this reading."))
    return _with_dependents(chain, found)


def by_versions(chain: BillChain) -> list[AffectedBills]:
    """What corrected versions of a tariff touch; nothing where all is priced as it should be."""
    found = [reissued(chain, bill, _PRICED) for bill in chain.bills if bill.priced_wrongly]
    return _with_dependents(chain, found)


def by_tariff(chain: BillChain, *, first: ChainBill) -> list[AffectedBills]:
    """The bill from which on a meter is on another tariff, and all after it."""
    since = [bill for bill in chain.bills if bill.period_start >= first.period_start]
    return [reissued(chain, bill, _OTHER_TARIFF) for bill in since]


def by_voiding(chain: BillChain, bill: ChainBill) -> list[AffectedBills]:
    """The last bill of a chain, which nothing takes the place of. Raises CannotRebill."""
    if bill.id != chain.bills[-1].id:
        raise CannotRebill(
            sentence("A later bill begins where this one ends: void that one first.")
        )
    return [replace(reissued(chain, bill, _VOIDED), again=False)]


def reissue(
    chain: BillChain, affected: Sequence[AffectedBills], *, issue: Issue, zone: ZoneInfo
) -> list[BillChange]:
    """Each of them priced again, in order, so that a later one may look back at those before it.

    Raises CannotRebill, which names the bill that cannot be priced.
    """
    voided = {bill.id for one in affected for bill in one.bills}
    past = [past_of_bill(bill) for bill in chain.bills if bill.id not in voided]
    billed = [bill.billed_before for bill in chain.bills if bill.id not in voided]
    tariff_of = {version.id: version.tariff_id for version in chain.tariffs}
    changes = []
    for one in affected:
        made = _made(chain, one, past, billed, issue=issue, zone=zone) if one.again else None
        if made:
            billed.append(made.billed_before)
            past.append(past_of_new(made, tariff_id=tariff_of[made.tariff_version_id]))
        changes.append(BillChange(one, made))
    return changes


def _withdrawn(
    chain: BillChain, closer: ChainBill | None, opener: ChainBill | None
) -> list[AffectedBills]:
    if closer is None:
        raise CannotRebill(
            sentence("This is where the meter's billing begins: give the right value instead.")
            if opener
            else sentence("No bill opens or closes at this reading.")
        )
    if opener is None:
        return [replace(reissued(chain, closer, _LAST), again=False)]
    if closer.tariff_id != opener.tariff_id:
        raise CannotRebill(
            sentence(
                "The bills before and after this reading are under two tariffs ({first} "
                "and {second}): give the right value instead.",
                first=closer.tariff_code,
                second=opener.tariff_code,
            )
        )
    merged = reissued(chain, closer, _MERGED)
    closing = _read(chain, opener.closing_reading_id)
    return [replace(merged, bills=(closer, opener), closing=closing)]


def reissued(chain: BillChain, bill: ChainBill, why: str) -> AffectedBills:
    """A bill that is priced again between the same reads. Raises CannotRebill."""
    return AffectedBills(
        bills=(bill,),
        opening=_read(chain, bill.opening_reading_id),
        closing=_read(chain, bill.closing_reading_id),
        why=why,
    )


def _read(chain: BillChain, read_id: str) -> Read:
    found = chain.read(read_id)
    if found is None:
        raise CannotRebill(
            sentence("The readings of these bills changed meanwhile: look at them again.")
        )
    return found


def _with_dependents(chain: BillChain, found: list[AffectedBills]) -> list[AffectedBills]:
    """With every later bill of a tariff that looks back or that settles one of them, in order."""
    if not found:
        return found
    known = {bill.id for one in found for bill in one.bills}
    since = min(one.bills[0].period_start for one in found)
    backward = {
        bill.tariff_id
        for bill in chain.bills
        if any(looks_back(version.tariff) for version in chain.versions_of(bill.tariff_id))
    }
    later = [
        reissued(chain, bill, _DEPENDS)
        for bill in chain.bills
        if bill.period_start > since and bill.id not in known and bill.tariff_id in backward
    ]
    known |= {one.bills[0].id for one in later}
    later += [
        reissued(chain, bill, _SETTLES)
        for bill in chain.bills
        if bill.id not in known
        and {one.closing_reading_id for one in chain.settles(bill)}
        & {one.closing_reading_id for one in chain.bills if one.id in known}
    ]
    return sorted([*found, *later], key=lambda one: one.bills[0].period_start)


def _made(
    chain: BillChain,
    one: AffectedBills,
    past: Sequence[PastBill],
    billed: Sequence[BilledBefore],
    *,
    issue: Issue,
    zone: ZoneInfo,
) -> NewBill:
    first = one.bills[0]
    tariffs = chain.versions
    looked_at = [bill for bill in past if bill.period_end <= one.opening.read_on]
    if not any(looks_back(version.tariff) for version in tariffs):
        looked_at = []
    # Where it opens at a new read, nothing was voided there before.
    opens_anew = one.opening.id != first.opening_reading_id
    try:
        bill = measured_bill(
            agreement_id=chain.agreement_id,
            constants=chain.meter.constants,
            installations=chain.installations,
            between=[
                r for r in chain.reads if one.opening.read_at < r.read_at < one.closing.read_at
            ],
            opening=one.opening,
            closing=one.closing,
            tariffs=tariffs,
            reissue_no=0 if opens_anew else first.reissues + 1,
            issue=None if one.is_draft else issue,
            zone=zone,
            is_final=one.closing.read_on == chain.ends_on,
            inputs=chain.inputs(
                opening=one.opening, closing=one.closing, past=looked_at, billed=billed
            ),
        ).priced()
    except (UnableToPriceBill, EmptyPeriod) as error:
        raise CannotRebill(
            sentence(
                "{reference} cannot be reissued: {error}",
                reference=first.reference,
                error=sentence_of(error),
            )
        ) from None
    return replace(bill, replaces_id=first.id)


def past_of_bill(bill: ChainBill) -> PastBill:
    """What a bill leaves to later ones."""
    return past_of(
        tariff_id=bill.tariff_id,
        start=bill.period_start,
        end=bill.period_end,
        usage=bill.usage,
        lines=bill.lines,
    )
