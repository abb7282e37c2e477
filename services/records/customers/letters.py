"""Messages that reached nobody, and the letters that are printed of them: records."""

from datetime import date, datetime

from services.records.base import Record
from services.records.bills import invoice_reference
from services.records.outbox import OutboxKind


class UnreachedMessage(Record):
    """A message that reached the customer on no channel; `at` (UTC) since when that is known.

    It is about the account where it has no `bill_id`.

    `address` is where a letter would go, empty where nobody knows; `why` has the reason by channel,
    `facts` what the message is about, with the text as it was written.
    """

    work_id: str
    at: datetime
    kind: OutboxKind
    bill_id: str | None
    bill_number: int | None
    currency: str
    customer_id: str
    account_no: str
    customer_name: str
    language: str
    address: str
    occasion: str
    facts: dict[str, str]
    why: dict[str, str]

    @property
    def reference(self) -> str:
        """The bill as people name it; of a message about no bill the account."""
        if self.bill_id is None:
            return self.account_no
        return invoice_reference(self.bill_number) if self.bill_number is not None else "the bill"


class UnreachedAfter(Record):
    """Where the next page of unreached messages begins."""

    at: datetime
    id: str


class LetterBatch(Record):
    """Letters that were printed together, written on a local date; `made_at` in UTC."""

    id: str
    made_by: str
    made_at: datetime
    written_on: date
    letters: int


class Letter(Record):
    """A letter as it was printed; `encloses` are the ids of the bills behind it.

    Those are followed by `credit_notes`.
    """

    id: str
    batch_id: str
    place: int
    customer_id: str
    bill_id: str | None
    kind: OutboxKind
    customer_name: str
    address: str
    account_no: str
    language: str
    currency: str
    subject: str
    body: str
    encloses: tuple[str, ...]
    credit_notes: tuple[str, ...] = ()
