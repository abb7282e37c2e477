"""What became of messages after they left, what customers answered, and sending once more."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from services.database.queries.base import Queries
from services.database.transport import Filter
from services.records.base import Page
from services.records.messages import (
    CustomerReply,
    MailboxMark,
    MailboxState,
    ReplyChannel,
    ReplyHead,
)

Reported = Literal["delivered", "read", "undelivered", "bounced"]


class MessageBook(Queries):
    """Delivery reports, the mailbox of the sender's address, and messages that wait or go again."""

    def note_delivery(
        self,
        *,
        actor: str,
        notification_id: str,
        channel: str,
        status: Reported,
        detail: str = "",
        message_id: str = "",
        address_is_gone: bool = False,
    ) -> bool:
        """Keep what a channel reports of a message that it took; False where nothing changed.

        What came back is tried on the customer's other channels; with `address_is_gone` the
        address gets no mail from now on, and of a phone number it is said that texts do not arrive.
        """
        answer = self._call(
            "note_delivery",
            actor=actor,
            id=notification_id,
            channel=channel,
            status=status,
            detail=detail,
            message_id=message_id,
            address_is_gone=address_is_gone,
        )
        return bool(answer["changed"])

    def hold_message(
        self,
        *,
        bill_id: str,
        kind: str,
        occasion: str,
        why: str = "",
        notification_id: str | None = None,
        channel: str = "",
        recipient: str = "",
        body: str = "",
        customer_id: str = "",
    ) -> None:
        """Take a message out of the queues: its time comes later, on this channel if there is one.

        `recipient` is masked. One about an account has no `bill_id` and its `customer_id`.
        """
        self._call(
            "hold_message",
            bill_id=bill_id or None,
            customer_id=customer_id or None,
            kind=kind,
            occasion=occasion,
            id=notification_id,
            channel=channel,
            recipient=recipient,
            body=body,
            why=why,
        )

    def send_again(
        self, *, actor: str, work_id: str, form_id: str, channel: str, label: str
    ) -> None:
        """Send a message once more on one channel, once for each form; `label` is its name.

        Raises NotFound, and IllegalChange while it is still being sent or nothing was written.
        """
        self._call(
            "send_again", actor=actor, id=work_id, form_id=form_id, channel=channel, label=label
        )

    def trust_email(self, *, actor: str, customer_id: str) -> None:
        """Let mail go again to a customer's address that it came back from."""
        self._call("trust_email", actor=actor, customer_id=customer_id)

    def mailbox_mark(
        self,
        name: str,
        *,
        note: MailboxMark | None = None,
        waiting: int = 0,
        passed_over: int = 0,
    ) -> MailboxState | None:
        """How far a mailbox was read, after noting it where that is given; None: never.

        With `note` go how many mails wait behind it, and how many were passed over to come to it.
        """
        given = {}
        if note is not None:
            given = note.model_dump() | {"waiting": waiting, "passed_over": passed_over}
        answer = self._call("mailbox_read", name=name, **given)
        return None if answer["last_uid"] is None else MailboxState.model_validate(answer)

    def replies_wanted(
        self,
        heads: Sequence[ReplyHead],
        *,
        most_of_sender: int,
        most_of_customers: int,
        most_of_strangers: int,
    ) -> list[int]:
        """The numbers of the mails that are kept as answers, with those of the last 24 hours.

        At most so many of one address, of all customers, and of all whom nobody knows.
        """
        if not heads:
            return []
        answer = self._call(
            "customer_replies_wanted",
            mails=[head.model_dump() for head in heads],
            most_of_sender=most_of_sender,
            most_of_customers=most_of_customers,
            most_of_strangers=most_of_strangers,
        )
        return [int(uid) for uid in answer["wanted"]]

    def note_reply(
        self,
        *,
        actor: str,
        reply_id: str,
        channel: ReplyChannel,
        sender: str,
        body: str,
        received_at: datetime,
        subject: str = "",
        notification_id: str | None = None,
        wants_texts: bool | None = None,
    ) -> bool:
        """Keep what a customer answered, once; whether it is new.

        With `wants_texts` the number of a new one gets texts from now on, or none.
        """
        answer = self._call(
            "note_reply",
            actor=actor,
            id=reply_id,
            notification_id=notification_id,
            channel=channel,
            sender=sender,
            subject=subject,
            body=body,
            received_at=received_at.isoformat(),
            wants_texts=wants_texts,
        )
        return bool(answer["new"])

    def note_address_gone(
        self, *, actor: str, customer_id: str, email: str, reported_at: datetime | None = None
    ) -> None:
        """Send no more mail to an address that a note came back from, if it is still theirs.

        One that was trusted again since the report came (UTC) stays so.
        """
        self._call(
            "note_address_gone",
            actor=actor,
            customer_id=customer_id,
            email=email,
            reported_at=reported_at.isoformat() if reported_at else None,
        )

    def open_replies(self, *, page: int = 1, page_size: int = 10) -> Page[CustomerReply]:
        """Answers of customers that nobody has seen to, the last first."""
        rows, total = self._page(
            "customer_reply_list",
            filters=[Filter("handled_at", "is_null", True)],
            order=["received_at.desc", "id.desc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(CustomerReply.model_validate(row) for row in rows), total=total)

    def handle_reply(self, *, actor: str, reply_id: str) -> None:
        """Say that somebody saw to a customer's answer; raises NotFound."""
        self._call("handle_reply", actor=actor, id=reply_id)
