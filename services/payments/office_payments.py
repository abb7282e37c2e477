"""Office payments: money that customers bring to the office, and deposits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import N_, sentence
from services.outbox.outbox import Outbox
from services.payments.entry_forms import (
    AmountEntry,
    InvalidEntry,
    PaymentEntry,
    amount_above_zero,
    check_received_on,
    check_reference,
    parse_entry,
)
from services.quantities.money import Money
from services.quantities.period import local_date
from services.records.base import PageRequest
from services.records.bills import Bill, number_of_reference
from services.records.entries import DepositUse, NewPayment
from services.records.ledger import Account, Allocation, Book, Payment
from services.records.lists import AccountFilter

AT_MOST_FOUND = 8
_INSTEAD: Final = N_("To give money back, refund or reverse the payment it came with.")


class LooksLikeTwice(Exception):
    """A payment with this reference, or just like this one, is there already: `alike`.

    It may be meant: then it is `confirmed`.
    """

    def __init__(self, alike: tuple[Payment, ...]) -> None:
        super().__init__("A payment like this one is there already.")
        self.alike = alike


@dataclass(frozen=True, slots=True)
class Payers:
    """Who may be meant by what somebody typed, and the bill if it named one."""

    accounts: tuple[Account, ...]
    bill: Bill | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """A payment as it is stored, and what it paid."""

    payment: Payment
    paid: tuple[Allocation, ...]
    is_new: bool


@dataclass(frozen=True, slots=True)
class OfficePayments:
    """Takes payments and deposits. Each change is the office's, under an id of the form's.

    The same id again is the same payment, however often it is sent. `now` is in UTC.
    """

    database: DatabaseService
    outbox: Outbox
    zone: ZoneInfo
    # Of an account that has no meter and no money yet.
    currency: Callable[[], str]
    # Thanks who has no bill yet, of whom the outbox knows nothing.
    thank: Callable[[Payment], None] = lambda _: None

    def find(self, text: str, *, principal: Principal) -> Payers:
        """Who pays: by a bill's number (INV-000117), an account number, or words of a name.

        Raises NotFound when there is nobody, and InvalidEntry for nothing at all.
        """
        require(principal, Permission.VIEW_PAYMENTS)
        text = " ".join(text.split())
        if not text:
            raise InvalidEntry(sentence("Type a bill's number, an account number or a name."))
        number = number_of_reference(text)
        if number is not None:
            return self._of_bill(number)
        try:
            return Payers((self.database.account_numbered(text),))
        except NotFound:
            page = PageRequest("account", limit=AT_MOST_FOUND, counted_to=0)
            found = self.database.list_accounts(wanted=AccountFilter(text=text), page=page).items
        if found:
            return Payers(found)
        if text.isascii() and text.isdigit() and len(text) < 16:
            return self._of_bill(int(text))
        raise NotFound("EB404", sentence("Nobody is found by {typed}.", typed=repr(text[:60])))

    def record_payment(
        self,
        *,
        payment_id: str,
        body: Mapping[str, Any],
        principal: Principal,
        now: datetime,
        customer_id: str | None = None,
        bill_id: str | None = None,
        confirmed: bool = False,
    ) -> Receipt:
        """Count a payment for a customer, or for a bill; `body` is a PaymentEntry's fields.

        Raises InvalidEntry, NotFound, IllegalChange, and LooksLikeTwice unless it is `confirmed`.
        """
        require(principal, Permission.RECORD_PAYMENTS)
        bill = self.database.bill(bill_id) if bill_id else None
        payer = self.database.account(bill.customer_id if bill else str(customer_id))
        entry = parse_entry(PaymentEntry, body)
        if entry.apply == "bill" and bill is None:
            raise InvalidEntry(sentence("Say which bill it is for."))
        row = self._row(entry, payer, bill=bill, payment_id=payment_id, now=now)
        return self._take(
            row.model_copy(update={"apply": entry.apply}), principal, confirmed=confirmed
        )

    def take_deposit(
        self,
        *,
        payment_id: str,
        customer_id: str,
        body: Mapping[str, Any],
        principal: Principal,
        now: datetime,
        confirmed: bool = False,
    ) -> Receipt:
        """Take a security deposit, which pays no bill until it is used; raises as for a payment."""
        require(principal, Permission.RECORD_PAYMENTS)
        payer = self.database.account(customer_id)
        entry = parse_entry(PaymentEntry, {**body, "apply": "none"})
        row = self._row(entry, payer, bill=None, payment_id=payment_id, now=now)
        return self._take(
            row.model_copy(update={"book": "deposit"}), principal, confirmed=confirmed
        )

    def use_deposit(
        self,
        *,
        entry_id: str,
        customer_id: str,
        body: Mapping[str, Any],
        principal: Principal,
        now: datetime,
    ) -> None:
        """Let a deposit pay what is open, the oldest first; `body` is an AmountEntry's fields.

        Raises InvalidEntry, NotFound, IllegalChange.
        """
        require(principal, Permission.RECORD_PAYMENTS)
        account = self.database.account(customer_id)
        entry = parse_entry(AmountEntry, body)
        amount = self._held(account, entry.amount)
        self.database.use_deposit(
            actor=principal.user,
            entry=DepositUse(
                id=entry_id,
                customer_id=account.id,
                amount_minor=amount.minor,
                currency=amount.currency,
                note=entry.note,
                on_date=local_date(now, self.zone),
            ),
            outbox=self.outbox.on_money(),
        )

    def _of_bill(self, number: int) -> Payers:
        bill = self.database.bill_numbered(number)
        return Payers((self.database.account(bill.customer_id),), bill)

    def _held(self, account: Account, text: str) -> Money:
        currency = account.currency or self.currency()
        amount = amount_above_zero(text, currency=currency)
        if amount.minor > account.deposit_minor:
            held = Money(account.deposit_minor, currency)
            raise InvalidEntry(
                sentence(
                    "{amount} is more than the deposit held, {held}.",
                    amount=amount,
                    held=held,
                )
            )
        return amount

    def _row(
        self,
        entry: PaymentEntry,
        payer: Account,
        *,
        bill: Bill | None,
        payment_id: str,
        now: datetime,
    ) -> NewPayment:
        currency = bill.currency if bill else payer.currency or self.currency()
        amount = amount_above_zero(entry.amount, currency=currency, otherwise=_INSTEAD)
        today = local_date(now, self.zone)
        check_received_on(entry.received_on, today=today)
        check_reference(entry.method, entry.reference)
        at = now if entry.received_on == today else _noon(entry.received_on, self.zone)
        return NewPayment(
            id=payment_id,
            customer_id=payer.id,
            bill_id=bill.id if bill else None,
            amount_minor=amount.minor,
            currency=currency,
            method=entry.method,
            reference=entry.reference,
            received_at=at,
            received_on=entry.received_on,
        )

    def _take(self, row: NewPayment, principal: Principal, *, confirmed: bool) -> Receipt:
        stored = self._stored(row)
        new = 0
        if stored is None:
            new, alike = self.database.record_office_payment(
                actor=principal.user,
                payment=row,
                confirmed=confirmed,
                outbox=self.outbox.on_money(),
            )
            if alike:
                raise LooksLikeTwice(alike)
            stored = self._stored(row)
        if stored is None:
            raise NotFound("EB404", sentence("No such payment."))
        paid = self.database.allocations(payment_id=stored.id)
        if new and stored.customer_id is not None and stored.book == "account":
            self._thank_without_bill(stored, stored.customer_id)
        return Receipt(stored, tuple(paid), is_new=bool(new))

    def _thank_without_bill(self, payment: Payment, customer_id: str) -> None:
        bills, _ = self.database.customer_bills(customer=customer_id, limit=1)
        if not bills:
            self.thank(payment)

    def _stored(self, row: NewPayment) -> Payment | None:
        """What this form stored before; raises InvalidEntry when that was something else."""
        try:
            payment = self.database.payment(row.id)
        except NotFound:
            return None
        book: Book = row.book or "account"
        there = (payment.customer_id, payment.amount_minor, payment.method, payment.book)
        if there != (row.customer_id, row.amount_minor, row.method, book):
            amount = payment.money(payment.amount_minor).display()
            raise InvalidEntry(
                sentence(
                    "This form has recorded a payment of {amount} already. Look at that one first.",
                    amount=amount,
                )
            )
        return payment


def _noon(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(12), tzinfo=zone)
