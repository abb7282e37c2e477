"""Credit notes: a document for each issued bill that was voided, where the utility gives them."""

from datetime import date, datetime

from services.records.bills import invoice_reference
from services.records.ledger import Amounts


class CreditNote(Amounts):
    """What takes back a bill in whole; minor units, above 0 in the customer's favour.

    The customer's name, address and tax number are those of then. `replaced_by_number` is that of
    the bill in the place of the one that is credited, None while that has none or is a draft.
    """

    id: str
    number: int
    reference: str
    bill_id: str
    bill_number: int
    customer_id: str
    account_no: str
    customer_name: str
    address: str
    tax_number: str
    language: str
    on_date: date
    reason: str
    subtotal_minor: int
    tax_minor: int
    total_minor: int
    settings_version: int
    created_by: str
    created_at: datetime
    replaced_by_id: str | None
    replaced_by_number: int | None

    @property
    def bill_reference(self) -> str:
        """The credited bill's number as people write it."""
        return invoice_reference(self.bill_number)
