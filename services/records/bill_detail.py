"""All that is looked at together about one bill: records."""

from services.records.ai import StoredOpinion
from services.records.base import Record
from services.records.bills import Bill
from services.records.corrections import Correction
from services.records.ledger import Allocation, Payment
from services.records.outbox import OutboxEntry
from services.records.readings import Reading


class PaidPart(Record):
    """What paid a part of a bill; `payment` is None for a credit or a deposit."""

    allocation: Allocation
    payment: Payment | None


class BillDetail(Record):
    """A bill with where it comes from and where it stands.

    `paid` is the oldest first; `read_since` are the first accepted readings after the bill, in
    order of time; `outbox` is what follows its commit, the oldest first.
    """

    bill: Bill
    opening: Reading
    closing: Reading
    paid: tuple[PaidPart, ...]
    in_plan: bool
    corrections: tuple[Correction, ...]
    read_since: tuple[Reading, ...]
    outbox: tuple[OutboxEntry, ...]
    second_opinion: StoredOpinion | None
    unprinted_because: str | None

    @property
    def is_last_of_meter(self) -> bool:
        """Whether no reading after it is billed."""
        return self.bill.status != "void" and all(r.bill_id is None for r in self.read_since)
