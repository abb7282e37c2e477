"""Outbox entries with the state of each step: records."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from services.records.base import Record
from services.records.bills import Bill, account_alone

# The fact that names further bills, by their ids, which a new bill's message mentions.
TELLS_OF: Final = "tells_of"
# What is to pay for all of them, as a message says it.
LEFT_IN_ALL: Final = "left_in_all"
OutboxKind = Literal[
    "bill_issued",
    "payment_reminder",
    "overdue_notice",
    "disconnection_notice",
    "payment_received",
    "balance_changed",
    "bill_corrected",
    "autopay_notice",
    "autopay_failed",
    "autopay_expiring",
    "autopay_ended",
    "charges_overdue",
    "account_statement",
]
StepStatus = Literal["running", "done", "pending", "skipped", "failed"]
# Who does which steps, each on its own: the graph 8, Stripe 9 and 10, messages 11 to 13.
Lane = Literal["graph", "links", "messages"]

# The steps after the commit at step 7, by occasion.
OUTBOX_STEPS: Final[Mapping[OutboxKind, tuple[int, ...]]] = {
    "bill_issued": (8, 9, 10, 11, 12, 13),
    "payment_reminder": (11, 12, 13),
    "overdue_notice": (11, 12, 13),
    "disconnection_notice": (11, 12, 13),
    "payment_received": (11, 12, 13),
    "balance_changed": (9, 10),
    "bill_corrected": (11, 12, 13),
    "autopay_notice": (11, 12, 13),
    "autopay_failed": (11, 12, 13),
    "autopay_expiring": (11, 12, 13),
    "autopay_ended": (11, 12, 13),
    "charges_overdue": (11, 12, 13),
    "account_statement": (11, 12, 13),
}
NOT_CONFIGURED: Final = "not configured"


class StepState(Record):
    """Where one step stands."""

    status: StepStatus
    detail: str = ""
    # What later steps need of this one, such as the text of the message.
    facts: dict[str, str] = Field(default_factory=dict)


_NOT_CONFIGURED: Final = StepState(status="skipped", detail=NOT_CONFIGURED)


def steps_json(steps: Mapping[int, StepState]) -> dict[str, Any]:
    """As the outbox keeps steps: without those whose service was not configured."""
    return {
        str(step): state.model_dump(exclude_defaults=True)
        for step, state in steps.items()
        if state != _NOT_CONFIGURED
    }


class OutboxAccount(Record):
    """Whose account a message is about that is about no bill."""

    customer_id: str
    account_no: str
    customer_name: str
    currency: str


class OutboxEntry(Record):
    """What is still to be done for a bill after its commit, a state a step (steps 8 to 13).

    A message about an account has no bill.
    """

    id: str
    bill_id: str | None
    kind: OutboxKind
    steps: dict[int, StepState]
    status: Literal["open", "finished", "given_up"]
    attempts: int
    lease_owner: str | None = None
    created_at: datetime
    bill: Bill | None = None
    account: OutboxAccount | None = None
    # The channel on which a message's turn has come, where it waited for that.
    granted: str = ""
    # Which one, where a bill has several of a kind, and what it is about.
    occasion: str = ""
    facts: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _with_all_steps(self) -> Self:
        for step in OUTBOX_STEPS[self.kind]:
            self.steps.setdefault(step, _NOT_CONFIGURED)
        return self

    @property
    def subject(self) -> Bill | None:
        """The bill that it is about, or one of nothing where it is about an account."""
        return account_alone(**self.account.model_dump()) if self.account else self.bill
