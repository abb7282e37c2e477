"""A bill's payment link follows its balance: made, replaced, closed; and steps 9 and 10."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.database.service import DatabaseService
from services.integrations.http import ServiceUnavailable
from services.outbox.outbox import StepDone
from services.payments.stripe.client import PaymentLink, StripePayments
from services.records.bills import Bill, BillStatus
from services.records.messages import StoredLink
from services.records.outbox import OutboxKind

ACTOR: Final = "system:payment-links"
_PAYABLE: Final[frozenset[BillStatus]] = frozenset(("issued", "partially_paid", "overdue"))


@dataclass(frozen=True, slots=True)
class PaymentLinks:
    """Keeps at most one open link a bill, for exactly what is left to pay."""

    database: DatabaseService
    stripe: StripePayments

    def bring_up_to_date(self, bill: Bill) -> str | None:
        """The address of the bill's link as it should be by now, made or closed as needed.

        None when nothing is to be paid. Repeating it changes nothing. Raises ServiceUnavailable,
        RequestRejected, DatabaseError.
        """
        links = self.database.payment_links(bill_id=bill.id)
        current = next((link for link in links if link.active), None)
        if not is_payable(bill):
            self._close(current)
            return None
        if current and (current.amount_minor, current.currency) == (
            bill.balance_minor,
            bill.currency,
        ):
            return current.url
        newest = links[0].id if links else None
        # Nobody ever holds two links that can be paid, and a bill never carries one that is closed:
        # Stripe may refuse the new one.
        self._close(current)
        link = self.stripe.create_link(bill=bill, after=newest)
        self._keep(bill, link)
        return link.url

    def _keep(self, bill: Bill, link: PaymentLink) -> None:
        kept = self.database.save_payment_link(
            actor=ACTOR,
            link_id=link.id,
            bill_id=bill.id,
            url=link.url,
            amount_minor=link.amount_minor,
            currency=link.currency,
        )
        if not kept:
            self.stripe.deactivate_link(link.id)
            raise ServiceUnavailable("The bill's balance changed while its link was made.")

    def _close(self, current: StoredLink | None) -> None:
        if current:
            self.stripe.deactivate_link(current.id)
            self.database.close_payment_link(actor=ACTOR, link_id=current.id)


def is_payable(bill: Bill) -> bool:
    """Whether a link may ask for an issued bill.

    Not while the customer's bank is paying it, or while its money went back, undecided.
    """
    open_now = bill.status in _PAYABLE and bill.balance_minor > 0
    return open_now and bill.spared_because is None


@dataclass(frozen=True, slots=True)
class CreateLink:
    """Step 9: the bill has a link."""

    links: PaymentLinks

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        """Make the link, or find it made before a crash.

        Raises ServiceUnavailable, RequestRejected.
        """
        del kind, facts
        bill = self.links.database.bill(bill.id)
        url = self.links.bring_up_to_date(bill)
        if url is None:
            return StepDone("nothing to pay, so no link")
        amount = bill.money(bill.balance_minor).display()
        return StepDone(f"for {amount}", facts={"payment_url": url}, payment_url=url)


@dataclass(frozen=True, slots=True)
class LinkOnBill:
    """Step 10: the stored bill carries the link of its balance."""

    links: PaymentLinks

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        """Look at the stored bill; paid in part or void meanwhile, its link is set right."""
        del kind, facts
        bill = self.links.database.bill(bill.id)
        url = self.links.bring_up_to_date(bill)
        if url is None:
            return StepDone("nothing to pay, so no link")
        return StepDone(f"{bill.reference} carries the link", payment_url=url)
