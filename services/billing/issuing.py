"""Drawing up and issuing bills with the utility's terms: zone, days of payment, approval."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from services.billing.draw_up import draw_up_bills
from services.languages.sentence import N_, sentence
from services.outbox.outbox import Outbox
from services.quantities.period import local_date
from services.rating import UnableToPriceBill
from services.records.bills import Issue, NewBill
from services.records.outbox import TELLS_OF
from services.records.readings import Read
from services.records.submissions import ReadingContext

SENT_WITH_NEXT = N_("in the message about the bill after it")


@dataclass(frozen=True, slots=True)
class BillingTerms:
    """Days from issue to due date; with `approval` each bill is a draft until it is approved.

    `lacks` says what the utility has not set and a bill must say where it is issued; `no_address`
    what is said of a bill that must say where the supply is and cannot. Empty, all is well.
    """

    due_days: int
    approval: bool = False
    lacks: str = ""
    no_address: str = ""


def _has_address(_: Sequence[str]) -> Collection[str]:
    return ()


@dataclass(frozen=True, slots=True)
class BillIssuer:
    """Draws up bills on the terms that hold just then."""

    zone: ZoneInfo
    terms: Callable[[], BillingTerms]
    outbox: Outbox
    shortest_days: int = 2
    # Of some agreements those whose bills could not say where the supply is.
    without_address: Callable[[Sequence[str]], Collection[str]] = _has_address

    @property
    def approval(self) -> bool:
        """Whether each bill is a draft, without a number, until it is approved."""
        return self.terms().approval

    def bills_up_to(
        self, *, context: ReadingContext, closing: Read, now: datetime, however_short: bool = False
    ) -> list[NewBill]:
        """The bills from the end of the meter's chain to this read, with their outbox entries.

        With approval, or of a length that its tariff is not made for, a bill is a draft, which owes
        nothing. None ends at this read where that would be too short a bill.
        """
        bills = draw_up_bills(
            agreement_id=_agreement_of(context),
            constants=context.meter.constants,
            installations=context.installations,
            opening=context.opening,
            between=context.between,
            closing=closing,
            tariffs=context.tariffs,
            reissue_no=context.reissue_no,
            issue=self.issue_of_new(now),
            zone=self.zone,
            inputs=context.pricing,
            shortest_days=self.shortest_days,
            billing_day=context.billing_day,
            however_short=however_short,
        )
        unattended = [bill.unattended() for bill in self.held_back(bills)]
        return self.with_all_outboxes(unattended, leased=True)

    def held_back(self, bills: Sequence[NewBill]) -> list[NewBill]:
        """The bills, held where something is missing that they must say; one question for all."""
        why = self._why_not(bills)
        return [
            replace(bill, held_because=f"{bill.held_because} {why[bill.agreement_id]}".strip())
            if bill.agreement_id in why
            else bill
            for bill in bills
        ]

    def why_not_issued(self, bills: Sequence[NewBill]) -> str:
        """Why some of these, which nobody can leave as drafts, cannot be issued, or nothing."""
        why = self._why_not([bill for bill in bills if bill.issue])
        return next(iter(why.values()), "")

    def _why_not(self, bills: Sequence[NewBill]) -> dict[str, str]:
        """Why bills of some agreements cannot be issued, by agreement."""
        terms = self.terms()
        if not bills or not (terms.lacks or terms.no_address):
            return {}
        agreements = list(dict.fromkeys(bill.agreement_id for bill in bills))
        why = dict.fromkeys(agreements, terms.lacks) if terms.lacks else {}
        if terms.no_address:
            for one in self.without_address(agreements):
                why[one] = f"{why.get(one, '')} {terms.no_address}".strip()
        return why

    def with_all_outboxes(self, bills: Sequence[NewBill], *, leased: bool = False) -> list[NewBill]:
        """Bills of one chain with outbox entries: the customer has one message, of the last."""
        if len(bills) == 1:
            return [self.with_outbox(bills[0], leased=leased)]
        issued = [bill for bill in bills if bill.issue]
        told_by_last = {bill.id for bill in issued[:-1]}
        found = []
        for bill in bills:
            is_last = leased and bill is bills[-1]
            if bill.id in told_by_last:
                found.append(self.with_outbox(bill, unsaid=SENT_WITH_NEXT))
            elif issued and bill is issued[-1]:
                found.append(self.with_outbox(bill, leased=is_last, tells_of=tuple(told_by_last)))
            else:
                found.append(bill)
        return found

    def with_outbox(
        self,
        bill: NewBill,
        *,
        leased: bool = False,
        unsaid: str = "",
        tells_of: Sequence[str] = (),
    ) -> NewBill:
        """The bill with its outbox entry; a draft has none until it is issued.

        `tells_of` are the ids of bills that its message names as well.
        """
        if bill.issue is None:
            return bill
        plan = self.outbox.plan(bill_id=bill.id, kind="bill_issued", leased=leased, unsaid=unsaid)
        if tells_of:
            plan["facts"] = {TELLS_OF: " ".join(tells_of)}
        return replace(bill, outbox=plan)

    def issue_of_new(self, now: datetime) -> Issue | None:
        """As a new bill is issued: at this moment, or with approval not yet."""
        return None if self.approval else self.issue(now)

    def issue(self, now: datetime) -> Issue:
        """Issued at this moment, due after the utility's days of payment."""
        return Issue(at=now, on=local_date(now, self.zone), due_days=self.terms().due_days)


def _agreement_of(context: ReadingContext) -> str:
    if context.meter.agreement_id is None:
        raise UnableToPriceBill(sentence("Nobody has an agreement for this place on that day."))
    return context.meter.agreement_id
