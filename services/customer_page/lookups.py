"""What a customer sees on their page. Of others' things it says what it says of none: not found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from services.accounts.statements import PrintedStatements
from services.accounts.usage import MeterUse, by_meter
from services.bill_documents.archive import BillArchive
from services.bill_documents.credit_notes import CreditNoteArchive
from services.bill_documents.line_names import ChargeName
from services.customer_page.similar_homes import SimilarHomes
from services.customer_page.visits import confirmed
from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.languages.sentence import sentence
from services.metering.monthly_use import first_day_shown
from services.payments.receipts import Receipts
from services.records.base import Page
from services.records.bills import Bill
from services.records.customers.pages import CustomerRequest, Visit
from services.records.details import CustomersMeter
from services.records.documents.credit_notes import CreditNote
from services.records.ledger import Account, Allocation, Payment

_BILLS: Final = 13
_PAYMENTS: Final = 20
_REQUESTS: Final = 10


@dataclass(frozen=True, slots=True)
class Unreached:
    """Since when (UTC) a customer's address or number is not reached; None: nothing is known.

    The address and the number themselves are empty for who has a link alone.
    """

    email: str
    phone: str
    email_bounced_at: datetime | None
    sms_stopped_at: datetime | None
    phone_unreached_at: datetime | None

    @property
    def any(self) -> bool:
        """Whether there is anything to say."""
        since = (self.email_bounced_at, self.sms_stopped_at, self.phone_unreached_at)
        return any(since)


@dataclass(frozen=True, slots=True)
class Home:
    """How an account stands, and the bills of which something is to pay, the oldest first."""

    account: Account
    to_pay: tuple[Bill, ...]
    # Fees and the like, which no bill has; minor units.
    other_minor: int
    requests: tuple[CustomerRequest, ...]
    unreached: Unreached


@dataclass(frozen=True, slots=True)
class ShownBill:
    """A bill, and what the customer asked the office about it, the last first."""

    bill: Bill
    requests: tuple[CustomerRequest, ...]
    credit_note: CreditNote | None = None

    @property
    def can_be_disputed(self) -> bool:
        """Whether something is to pay of it, and nobody looks at it already."""
        waits = any(request.state == "open" for request in self.requests)
        return self.bill.status not in {"paid", "void", "draft"} and not waits


@dataclass(frozen=True, slots=True)
class ShownPayment:
    """A payment and what it pays."""

    payment: Payment
    pays: tuple[Allocation, ...]


@dataclass(frozen=True, slots=True)
class MeterUseBeside:
    """A meter's use by month, and what similar homes use in Wh by month; none where too few are."""

    use: MeterUse
    similar: dict[date, int]


@dataclass(frozen=True, slots=True)
class PageLookups:
    """What is shown to a visit. Bills to every visit; all else raises CodeWanted without a code."""

    database: DatabaseService
    archive: BillArchive
    receipts: Receipts
    similar: SimilarHomes
    credit_notes: CreditNoteArchive
    statements: PrintedStatements

    def home(self, visit: Visit) -> Home:
        """The balance, what is to pay, and what the office is still to answer."""
        account = self.database.account(visit.customer_id)
        to_pay: tuple[Bill, ...] = ()
        if account.open_bills:
            to_pay = tuple(self.database.open_bills(customer_id=visit.customer_id))
        billed = sum(b.balance_minor for b in to_pay if b.currency == account.currency)
        other = account.balance_minor - billed
        return Home(account, to_pay, other, self.requests(visit), self.unreached(visit))

    def unreached(self, visit: Visit) -> Unreached:
        """Where messages do not reach the customer; who has a link alone learns no address."""
        contact = self.database.customer_contact(visit.customer_id)
        return Unreached(
            email=contact.email if visit.confirmed else "",
            phone=contact.phone if visit.confirmed else "",
            email_bounced_at=contact.email_bounced_at,
            sms_stopped_at=contact.sms_stopped_at,
            phone_unreached_at=contact.phone_unreached_at,
        )

    def requests(self, visit: Visit) -> tuple[CustomerRequest, ...]:
        """What the customer asked lately; nothing for who has a link alone."""
        if not visit.confirmed:
            return ()
        found = self.database.customer_requests(customer_id=visit.customer_id, page_size=_REQUESTS)
        return found.items

    def bills(self, visit: Visit, *, after: str | None) -> tuple[list[Bill], str | None]:
        """A page of bills, the last period first, and the id to go on after; raises NotFound."""
        return self.database.customer_bills(customer=visit.customer_id, limit=_BILLS, after=after)

    def bill(self, visit: Visit, bill_id: str) -> ShownBill:
        """One bill of the customer's; raises NotFound."""
        bill = self._own_bill(visit, bill_id)
        if not visit.confirmed:
            return ShownBill(bill, ())
        found = self.database.customer_requests(bill_id=bill.id)
        return ShownBill(bill, found.items, self._credit_note(bill))

    def charge_names(self, bill: Bill, language: str) -> tuple[ChargeName, ...]:
        """What the tariff of a bill calls its charges in a language (an IETF tag)."""
        return self.archive.names.of(bill, language)

    def bill_pdf(self, visit: Visit, bill_id: str) -> tuple[str, bytes]:
        """The name and the bytes of a bill's PDF; raises NotFound, and as the archive does."""
        bill = self._own_bill(confirmed(visit), bill_id)
        return f"{bill.reference}.pdf", self.archive.pdf(bill.id).pdf

    def credit_note_pdf(self, visit: Visit, bill_id: str) -> tuple[str, bytes]:
        """The name and the bytes of the credit note of a void bill; raises NotFound."""
        note = self._credit_note(self._own_bill(confirmed(visit), bill_id))
        if note is None:
            raise NotFound("EB404", sentence("No such credit note."))
        return f"{note.reference}.pdf", self.credit_notes.pdf(note.id).pdf

    def statement_pdf(self, visit: Visit, *, start: date, end: date) -> tuple[str, bytes]:
        """The name and the bytes of the statement of the local dates [start, end).

        Raises NoStatement, MissingLetters.
        """
        content = self.statements.pdf(confirmed(visit).customer_id, start=start, end=end)
        return f"statement-{start.isoformat()}.pdf", content

    def payments(self, visit: Visit, *, page: int) -> Page[Payment]:
        """A page of payments, the last received first."""
        return self.database.payments(
            customer_id=confirmed(visit).customer_id, page=page, page_size=_PAYMENTS
        )

    def payment(self, visit: Visit, payment_id: str) -> ShownPayment:
        """One payment of the customer's; raises NotFound."""
        payment = self._own_payment(visit, payment_id)
        return ShownPayment(payment, tuple(self.database.allocations(payment_id=payment.id)))

    def receipt(self, visit: Visit, payment_id: str) -> bytes:
        """A payment's receipt as PDF; raises NotFound, MissingLetters."""
        return self.receipts.pdf(self._own_payment(visit, payment_id).id)

    def usage(self, visit: Visit, *, today: date) -> Sequence[MeterUseBeside]:
        """Each meter's 13 months beside the year before and similar homes."""
        customer_id = confirmed(visit).customer_id
        periods = self.database.billed_use(customer_id=customer_id, since=first_day_shown(today))
        agreements = {meter.id: meter.agreement_id for meter in self.meters(visit)}
        return [
            MeterUseBeside(use, self.similar.beside(agreements.get(use.meter_id), today=today))
            for use in by_meter(periods, today)
        ]

    def meters(self, visit: Visit) -> list[CustomersMeter]:
        """The meters that the customer has now, each with its last accepted read."""
        return self.database.meters_of_customer(customer_id=confirmed(visit).customer_id)

    def _own_bill(self, visit: Visit, bill_id: str) -> Bill:
        bill = self.database.bill(bill_id)
        if bill.customer_id != visit.customer_id or bill.status == "draft":
            raise NotFound("EB404", sentence("No such bill."))
        return bill

    def _credit_note(self, bill: Bill) -> CreditNote | None:
        if bill.status != "void":
            return None
        return next(iter(self.database.credit_notes(bill_id=bill.id, limit=1)), None)

    def _own_payment(self, visit: Visit, payment_id: str) -> Payment:
        payment = self.database.payment(payment_id)
        if payment.customer_id != confirmed(visit).customer_id:
            raise NotFound("EB404", sentence("No such payment."))
        return payment
