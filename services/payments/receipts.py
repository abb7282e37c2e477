"""Receipts: a payment as a document for who paid it."""

from collections.abc import Callable
from dataclasses import dataclass

from services.bill_documents import ReceiptDocument, Utility, render_receipt
from services.database.errors import NotFound
from services.database.service import DatabaseService
from services.languages.sentence import sentence
from services.records.bills import invoice_reference
from services.records.ledger import Allocation, Payment


@dataclass(frozen=True, slots=True)
class Receipts:
    """Makes receipts; `sender` answers who sends a document now. Whoever asks is checked before."""

    database: DatabaseService
    sender: Callable[[], Utility]

    def pdf(self, payment_id: str) -> bytes:
        """The receipt in the customer's language, of the payment as it stands now.

        Raises NotFound (also while nobody knows whose the payment is), MissingLetters.
        """
        payment = self.database.payment(payment_id)
        if payment.customer_id is None:
            raise NotFound("EB404", sentence("Nobody knows whose this payment is."))
        paid = self.database.allocations(payment_id=payment_id)
        return render_receipt(self._document(payment, payment.customer_id, paid))

    def _document(
        self, payment: Payment, customer_id: str, paid: list[Allocation]
    ) -> ReceiptDocument:
        account = self.database.account(customer_id)
        return ReceiptDocument(
            utility=self.sender(),
            language=account.language,
            customer_name=account.name,
            address=account.address,
            account_no=account.account_no,
            currency=payment.currency,
            number=receipt_number(payment),
            received_on=payment.received_on,
            amount_minor=payment.amount_minor,
            method=payment.method,
            reference=payment.reference,
            customer_tax_number=account.tax_number,
            paid=tuple(
                (invoice_reference(one.bill_number) if one.bill_number else "", one.amount_minor)
                for one in paid
            ),
            left_minor=max(payment.open_minor, 0) if payment.book == "account" else 0,
        )


def receipt_number(payment: Payment) -> str:
    """What a receipt is called: the first letters of the payment's id, as the office finds it."""
    return payment.id[:8].upper()
