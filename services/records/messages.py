"""How customers are reached and what was sent to them, as it travels from the database: records."""

from datetime import datetime
from typing import Literal

from pydantic import Field, SecretStr

from services.records.base import Record
from services.records.outbox import OutboxKind, StepState

NotificationStatus = Literal[
    "waiting", "sending", "sent", "not_configured", "failed", "unknown", "given_up"
]


class StoredLink(Record):
    """A payment link that was made for a bill's balance; `amount_minor` is in minor units."""

    id: str
    bill_id: str
    url: str
    amount_minor: int
    currency: str
    active: bool


class CustomerContact(Record):
    """How a customer is reached. Whoever knows the webhook's address can post there."""

    customer_id: str
    language: str
    phone: str
    discord_webhook_url: SecretStr | None
    whatsapp_opt_in_at: datetime | None


class ContactDetails(Record):
    """A customer's name and how they are reached, for the office; `whatsapp_since` in UTC."""

    name: str
    phone: str
    email: str
    address: str
    language: str
    whatsapp_since: datetime | None
    has_discord: bool


class NotificationClaim(Record):
    """Whether a message is to be sent now; if not, what became of it before."""

    send: bool
    status: NotificationStatus
    error: str
    message_id: str


class Notification(Record):
    """A message to a customer over one channel; `recipient` is masked."""

    id: str
    bill_id: str | None
    bill_number: int | None
    account_no: str | None
    kind: str
    occasion: str
    channel: str
    status: NotificationStatus
    attempts: int
    recipient: str
    body: str
    error: str
    message_id: str
    created_at: datetime
    updated_at: datetime
    outbox_id: str | None = Field(validation_alias="owed_id")
    outbox_status: Literal["open", "finished", "given_up"] | None = Field(
        validation_alias="owed_status"
    )


class FailedWork(Record):
    """An outbox entry that ended with a step refused or given up."""

    id: str
    bill_id: str
    bill_number: int | None
    account_no: str
    kind: OutboxKind
    steps: dict[int, StepState]
    status: Literal["finished", "given_up"]
    attempts: int
    created_at: datetime
    finished_at: datetime


class UnprintedBill(Record):
    """An issued bill whose PDF could not be made in full, and why."""

    bill_id: str
    bill_number: int
    account_no: str
    reason: str
    since: datetime
    tried_at: datetime
