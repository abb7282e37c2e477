"""How customers are reached and what was sent to them, as it travels from the database: records."""

from datetime import datetime, time, timedelta
from typing import Final, Literal

from pydantic import Field, SecretStr

from services.records.base import Record
from services.records.outbox import OutboxKind, StepState

NotificationStatus = Literal[
    "waiting",
    "sending",
    "sent",
    "not_configured",
    "failed",
    "unknown",
    "given_up",
    "delivered",
    "read",
    "undelivered",
    "bounced",
]
# Those that no customer got anything of.
CAME_TO_NOTHING: Final[frozenset[NotificationStatus]] = frozenset(
    {"failed", "undelivered", "bounced"}
)

# As the log has the channels that are a customer's own.
PreferredChannel = Literal["email", "sms", "whatsapp", "discord_customer"]
# Those on which customers can answer.
ReplyChannel = Literal["email", "whatsapp", "sms"]


class StoredLink(Record):
    """A payment link that was made for a bill's balance; `amount_minor` is in minor units."""

    id: str
    bill_id: str
    url: str
    amount_minor: int
    currency: str
    active: bool


class CustomerContact(Record):
    """How a customer is reached. Whoever knows the webhook's address can post there.

    Nothing is sent from `quiet_from` to `quiet_until` (local times), nor once they have opted out
    (`opted_out_at`, UTC).
    """

    customer_id: str
    language: str
    phone: str
    email: str
    discord_webhook_url: SecretStr | None
    whatsapp_opt_in_at: datetime | None
    preferred: PreferredChannel | None = None
    quiet_from: time | None = None
    quiet_until: time | None = None
    opted_out_at: datetime | None = None
    # Since when mail to the address comes back (UTC).
    email_bounced_at: datetime | None = None
    # Since when whoever has the number wants no texts (UTC).
    sms_stopped_at: datetime | None = None
    # Since when the network says that texts cannot reach the number (UTC); they are tried still.
    phone_unreached_at: datetime | None = None


class ContactDetails(Record):
    """A customer's name and how they are reached, for the office; `whatsapp_since` in UTC.

    The quiet hours are local times.
    """

    name: str
    phone: str
    email: str
    address: str
    tax_number: str = ""
    language: str
    whatsapp_since: datetime | None
    has_discord: bool
    preferred: PreferredChannel | None
    quiet_from: time | None
    quiet_until: time | None
    opted_out: bool
    email_bounced_at: datetime | None = None
    sms_stopped_at: datetime | None = None
    phone_unreached_at: datetime | None = None


class NotificationClaim(Record):
    """Whether a message is to be sent now; if not, what became of it before.

    `queued` says that its turn on the channel has not come.
    """

    send: bool
    status: NotificationStatus
    error: str
    message_id: str
    queued: bool = False


class QueuedMessages(Record):
    """How many messages wait for their turn on a channel, and the oldest since when (UTC)."""

    channel: str
    waiting: int
    since: datetime


class MessageEvent(Record):
    """Something that happened to a message, at an instant (UTC).

    `state` is a status, or "queued", or "held" while its time has not come.
    """

    at: datetime
    state: str
    why: str = ""


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
    customer_id: str | None = None
    life: tuple[MessageEvent, ...] = ()
    outbox_id: str | None = Field(validation_alias="owed_id")
    outbox_status: Literal["open", "finished", "given_up"] | None = Field(
        validation_alias="owed_status"
    )


class CustomerReply(Record):
    """What a customer answered to a message, received at an instant (UTC).

    `customer_id` is None where nobody knows whose address or number it came from.
    """

    id: str
    customer_id: str | None
    account_no: str | None
    customer_name: str | None
    channel: ReplyChannel
    sender: str
    subject: str
    body: str
    received_at: datetime


class ReplyHead(Record):
    """A mail that may be a customer's answer, before it is read; `uid` is its number."""

    uid: int
    sender: str
    notification_id: str | None = None


class MailboxMark(Record):
    """How far a mailbox was read: up to a number, in one of the numberings of its server."""

    uid_validity: int
    last_uid: int


class MailboxState(MailboxMark):
    """How a mailbox stood when it was last read (UTC), and whether strangers flood it.

    `waiting` are mails behind the last one that was read, `passed_over` those that were left
    unread as too many from `flooded_since` to `flooded_at` (UTC).
    """

    read_at: datetime
    waiting: int
    passed_over: int
    flooded_since: datetime | None
    flooded_at: datetime | None

    def is_flooded(self, now: datetime, *, over_after: timedelta) -> bool:
        """Whether mails were passed over within so much time before `now` (UTC)."""
        return self.flooded_at is not None and now - self.flooded_at < over_after


class FailedWork(Record):
    """An outbox entry that ended with a step refused or given up."""

    id: str
    bill_id: str | None
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
