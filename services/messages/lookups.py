"""What was sent to customers and what could not be, for administrators; and trying it again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.records.base import Page
from services.records.messages import (
    CustomerReply,
    FailedWork,
    Notification,
    NotificationStatus,
    QueuedMessages,
)


@dataclass(frozen=True, slots=True)
class ChannelQueue:
    """Messages that wait for their turn on a channel, and how many may leave in a minute."""

    channel: str
    waiting: int
    per_minute: int

    @property
    def takes(self) -> timedelta:
        """How long it will take until the last of them has left, at the rate."""
        return timedelta(minutes=self.waiting / self.per_minute)


def queues_of(
    found: Iterable[QueuedMessages], per_minute: Mapping[str, int]
) -> tuple[ChannelQueue, ...]:
    """The queues of channels that have a rate; of what is switched off by now nothing leaves."""
    return tuple(
        ChannelQueue(queue.channel, queue.waiting, per_minute[queue.channel])
        for queue in found
        if queue.channel in per_minute
    )


@dataclass(frozen=True, slots=True)
class MessageLookups:
    """Messages and failed work of bills. Each method raises NotAllowed for who is no admin."""

    database: DatabaseService
    per_minute: Mapping[str, int] = field(default_factory=dict)

    def queues(self, *, principal: Principal) -> tuple[ChannelQueue, ...]:
        """The channels on which messages wait for their turn, and how long that will take."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return queues_of(self.database.message_queue(), self.per_minute)

    def failed_work(self, *, principal: Principal, page: int, page_size: int) -> Page[FailedWork]:
        """Outbox entries that ended with a step refused or given up, the newest first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.failed_work(page=page, page_size=page_size)

    def notifications(
        self,
        *,
        text: str,
        status: NotificationStatus | None,
        principal: Principal,
        page: int,
        page_size: int,
    ) -> Page[Notification]:
        """Messages by bill, occasion and channel that fit, the last written first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.notifications(text=text, status=status, page=page, page_size=page_size)

    def to_customer(
        self, *, customer_id: str, principal: Principal, page: int, page_size: int
    ) -> Page[Notification]:
        """The messages to one customer, the last changed first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.notifications(customer_id=customer_id, page=page, page_size=page_size)

    def replies(self, *, principal: Principal, page: int, page_size: int) -> Page[CustomerReply]:
        """What customers answered and nobody has seen to, the last first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.message_book.open_replies(page=page, page_size=page_size)

    def handle_reply(self, *, reply_id: str, principal: Principal) -> None:
        """Say that a customer's answer was seen to; raises NotFound."""
        require(principal, Permission.SEND_MESSAGES)
        self.database.message_book.handle_reply(actor=principal.user, reply_id=reply_id)

    def trust_email(self, *, customer_id: str, principal: Principal) -> None:
        """Let mail go again to an address that it came back from."""
        require(principal, Permission.CHANGE_CUSTOMERS)
        self.database.message_book.trust_email(actor=principal.user, customer_id=customer_id)

    def send_again(
        self, *, work_id: str, form_id: str, channel: str, label: str, principal: Principal
    ) -> None:
        """Send a message once more on one channel, in the background, once for each form.

        Raises NotFound, and IllegalChange while it is still being sent or nothing was written.
        """
        require(principal, Permission.SEND_MESSAGES)
        self.database.message_book.send_again(
            actor=principal.user, work_id=work_id, form_id=form_id, channel=channel, label=label
        )

    def retry(self, *, work_id: str, principal: Principal) -> None:
        """Take failed work up again, in the background.

        Raises NotFound, and IllegalChange when nothing of it can be tried again.
        """
        require(principal, Permission.SEND_MESSAGES)
        self.database.retry_outbox(actor=principal.user, work_id=work_id)
