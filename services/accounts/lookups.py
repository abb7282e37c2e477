"""Customers' accounts as administrators look them up, a view at a time."""

from dataclasses import dataclass

from services.accounts.statement import statement_csv
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.records.base import Page
from services.records.details import AccountHead, AccountPlans, Changeable, OpenItems
from services.records.ledger import Book, LedgerEntry, PastPayment


@dataclass(frozen=True, slots=True)
class CustomerLookups:
    """Accounts. Each method raises NotAllowed for who is no administrator."""

    database: DatabaseService

    def head(self, *, customer_id: str, principal: Principal) -> AccountHead:
        """Whose account it is and what it comes to; raises NotFound."""
        require(principal, Permission.VIEW_CUSTOMERS)
        account = self.database.account(customer_id)
        as_of = self.database.overdue_as_of() if account.overdue_minor else None
        contact = self.database.customer_contact(customer_id)
        return AccountHead(
            account=account,
            overdue_as_of=as_of,
            email_bounced_at=contact.email_bounced_at,
            sms_stopped_at=contact.sms_stopped_at,
            phone_unreached_at=contact.phone_unreached_at,
        )

    def open_items(self, *, customer_id: str, principal: Principal) -> OpenItems:
        """What is to pay, and credits that pay nothing yet, each the oldest first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        debits = self.database.open_debits(customer_id=customer_id)
        return OpenItems(
            bills=tuple(self.database.open_bills(customer_id=customer_id)),
            fees=tuple(entry for entry in debits if entry.kind != "bill"),
            credits_left=tuple(self.database.open_credits(customer_id=customer_id)),
        )

    def past_payments(
        self, *, customer_id: str, principal: Principal, page: int, page_size: int
    ) -> Page[PastPayment]:
        """Payments that another system took, the last received first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.past_payments(customer_id=customer_id, page=page, page_size=page_size)

    def plans(self, *, customer_id: str, principal: Principal) -> AccountPlans:
        """The instalment plans, and what another could be for."""
        require(principal, Permission.VIEW_CUSTOMERS)
        plans = self.database.plans(customer_id=customer_id)
        taken = {b.bill_id for plan in plans if plan.status == "active" for b in plan.bills}
        bills = self.database.open_bills(customer_id=customer_id)
        return AccountPlans(
            plans=tuple(plans), free_bills=tuple(bill for bill in bills if bill.id not in taken)
        )

    def changeable(self, *, customer_id: str, principal: Principal) -> Changeable:
        """Credit that could be paid out or settled, and what adjustments could be undone."""
        require(principal, Permission.VIEW_CUSTOMERS)
        left = self.database.open_credits(customer_id=customer_id)
        return Changeable(
            open_credit_minor=-sum(entry.open_minor for entry in left),
            adjustments=tuple(self.database.adjustments(customer_id=customer_id)),
        )

    def has_deposit_book(self, *, customer_id: str, principal: Principal) -> bool:
        """Whether a deposit was ever taken."""
        held = self.statement(
            customer_id=customer_id, book="deposit", principal=principal, page=1, page_size=1
        )
        return held.total > 0

    def statement(
        self, *, customer_id: str, book: Book, principal: Principal, page: int, page_size: int
    ) -> Page[LedgerEntry]:
        """The entries of one book, the newest first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.ledger(
            customer_id=customer_id, book=book, page=page, page_size=page_size
        )

    def statement_csv(self, *, customer_id: str, principal: Principal) -> bytes:
        """All entries of every book as CSV in UTF-8, the oldest first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return statement_csv(self.database, customer_id=customer_id)
