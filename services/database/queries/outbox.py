"""What follows a bill's commit: outbox entries, payment links, messages to customers."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from services.database.queries.base import Queries
from services.database.transport import Filter
from services.records.base import COUNTED_TO, Page
from services.records.messages import (
    CustomerContact,
    FailedWork,
    Notification,
    NotificationClaim,
    NotificationStatus,
    QueuedMessages,
    StoredLink,
)
from services.records.outbox import Lane, OutboxEntry


class OutboxQueries(Queries):
    """Outbox entries, payment links, how customers are reached, notifications."""

    def claim_outbox(
        self,
        *,
        owner: str,
        lease_seconds: int,
        limit: int,
        lane: Lane | None = None,
        link_patience_seconds: int = 0,
    ) -> list[OutboxEntry]:
        """Lease what is due to `owner`, each with its bill; of a lane, what has a step of it to do.

        A message whose bill has no link yet is due after so many seconds.
        """
        answer = self._call(
            "claim_owed_work",
            owner=owner,
            lease_seconds=lease_seconds,
            limit=limit,
            lane=lane,
            link_patience_seconds=link_patience_seconds,
        )
        return [OutboxEntry.model_validate(row) for row in answer["owed"]]

    def claim_messages(
        self, *, owner: str, lease_seconds: int, channel: str, per_minute: int, limit: int
    ) -> tuple[list[OutboxEntry], float | None]:
        """Lease the work of the first messages in a channel's queue, as many as may leave now.

        With it the seconds after which to ask again, None when nothing waits.
        """
        answer = self._call(
            "claim_messages",
            owner=owner,
            lease_seconds=lease_seconds,
            channel=channel,
            per_minute=per_minute,
            limit=limit,
        )
        wait = answer.get("wait_ms")
        owed = [OutboxEntry.model_validate(row) for row in answer["owed"]]
        return owed, None if wait is None else wait / 1000

    def pause_channel(self, *, channel: str, ms: int) -> None:
        """Let nothing leave on a channel for some milliseconds, in any process."""
        self._call("pause_channel", channel=channel, ms=ms)

    def message_queue(self) -> list[QueuedMessages]:
        """How many messages wait for their turn, by channel; channels without any are left out."""
        answer = self._call("message_queue")
        return [QueuedMessages.model_validate(row) for row in answer["channels"]]

    def save_outbox(self, *, actor: str, work: Mapping[str, Any]) -> None:
        """Keep the state of the steps; raises LeaseLost when another process has the work."""
        self._call("save_owed_work", actor=actor, **work)

    def why_unsaid(
        self, *, bill_id: str, kind: str, occasion: str, today: date, customer_id: str = ""
    ) -> str:
        """Why a planned message is no longer sent, or nothing; `customer_id` where no bill is."""
        answer = self._call(
            "why_unsaid",
            bill_id=bill_id or None,
            customer_id=customer_id or None,
            kind=kind,
            occasion=occasion,
            today=today.isoformat(),
        )
        return str(answer["reason"])

    def owe_statement(
        self,
        *,
        actor: str,
        statement_id: str,
        customer_id: str,
        start: date,
        end: date,
        outbox: Mapping[str, Any],
    ) -> None:
        """Let a statement of the local dates [start, end) be mailed, once for each id."""
        self._call(
            "owe_statement",
            actor=actor,
            id=statement_id,
            customer_id=customer_id,
            start=start.isoformat(),
            end=end.isoformat(),
            owed=dict(outbox),
        )

    def outbox_of(self, bill_id: str) -> list[OutboxEntry]:
        """A bill's outbox entries with the state of their steps, oldest first."""
        rows = self._transport.select(
            "owed_work_list",
            filters=[Filter("bill_id", "eq", bill_id)],
            order=["created_at.asc"],
            limit=100,
        ).rows
        return [OutboxEntry.model_validate(row) for row in rows]

    def failed_work(self, *, page: int = 1, page_size: int = 10) -> Page[FailedWork]:
        """Outbox entries that ended with a step refused or given up, newest first."""
        rows, total = self._page(
            "failed_work_list",
            filters=[],
            order=["finished_at.desc", "id.desc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(FailedWork.model_validate(row) for row in rows), total=total)

    def retry_outbox(self, *, actor: str, work_id: str) -> None:
        """Take up again what was refused or given up; what is under way is left alone.

        Raises IllegalChange when nothing of it can be tried again, NotFound.
        """
        self._call("retry_owed_work", actor=actor, id=work_id)

    def payment_links(self, *, bill_id: str) -> list[StoredLink]:
        """Every link that was made for a bill (at most 100), newest first."""
        rows = self._transport.select(
            "payment_links",
            filters=[Filter("bill_id", "eq", bill_id)],
            order=["created_at.desc"],
            limit=100,
        ).rows
        return [StoredLink.model_validate(row) for row in rows]

    def save_payment_link(
        self, *, actor: str, link_id: str, bill_id: str, url: str, amount_minor: int, currency: str
    ) -> bool:
        """Keep a link and put it on its bill; False when it is not for the balance of now."""
        answer = self._call(
            "save_payment_link",
            actor=actor,
            id=link_id,
            bill_id=bill_id,
            url=url,
            amount_minor=amount_minor,
            currency=currency,
        )
        return bool(answer["active"])

    def close_payment_link(self, *, actor: str, link_id: str) -> None:
        """Mark a link as closed and take it off its bill."""
        self._call("close_payment_link", actor=actor, id=link_id)

    def customer_contact(self, customer_id: str) -> CustomerContact:
        """How a customer is reached, the secret address included; raises NotFound."""
        return CustomerContact.model_validate(
            self._call("customer_contact", customer_id=customer_id)
        )

    def change_customer(
        self,
        *,
        actor: str,
        customer_id: str,
        seen: Mapping[str, str],
        details: Mapping[str, str],
        channels: Mapping[str, Any],
    ) -> None:
        """Change a customer's name, phone, e-mail, address and language, and their channels.

        `seen` are the five as they were; `channels` as in `set_customer_channels`. Raises NotFound,
        and IllegalChange when somebody else changed them meanwhile.
        """
        self._call(
            "change_customer",
            actor=actor,
            customer_id=customer_id,
            seen=dict(seen),
            **details,
            **({"channels": dict(channels)} if channels else {}),
        )

    def set_customer_channels(self, *, actor: str, rows: Sequence[Mapping[str, Any]]) -> int:
        """Set how customers (at most 1,000) are reached; how many that changed.

        Rows are {account_no, discord_webhook_url?, whatsapp_opt_in_at?, preferred?, quiet_from?,
        quiet_until?, opted_out_at?}: what a row does not name stays as it is, None takes it away.
        Raises NotFound, and then nothing was changed.
        """
        answer = self._call("set_customer_channels", actor=actor, rows=[dict(r) for r in rows])
        return int(answer["changed"])

    def begin_notification(
        self,
        *,
        notification_id: str,
        bill_id: str,
        kind: str,
        channel: str,
        recipient: str,
        body: str,
        occasion: str = "",
        per_minute: int | None = None,
        granted: bool = False,
        customer_id: str = "",
    ) -> NotificationClaim:
        """Say that a message is about to leave, unless it left before; `recipient` is masked.

        One about an account has no `bill_id` and its `customer_id`.

        With `per_minute` it is queued instead while its turn has not come; `granted` says that
        `claim_messages` gave it.

        `occasion` tells apart the messages of one kind that a bill has several of.
        One that was about to leave when its process died becomes "unknown".
        """
        return NotificationClaim.model_validate(
            self._call(
                "begin_notification",
                id=notification_id,
                bill_id=bill_id or None,
                customer_id=customer_id or None,
                kind=kind,
                occasion=occasion,
                channel=channel,
                recipient=recipient,
                body=body,
                per_minute=per_minute,
                granted=granted,
            )
        )

    def end_notification(
        self,
        *,
        notification_id: str,
        status: NotificationStatus,
        error: str = "",
        message_id: str = "",
    ) -> None:
        """Say what became of a message."""
        self._call(
            "end_notification",
            id=notification_id,
            status=status,
            error=error,
            message_id=message_id,
        )

    def notifications(
        self,
        *,
        text: str = "",
        status: NotificationStatus | None = None,
        bill_id: str | None = None,
        customer_id: str | None = None,
        kind: str | None = None,
        occasion: str | None = None,
        page: int = 1,
        page_size: int = 25,
    ) -> Page[Notification]:
        """Messages by bill, occasion and channel: of a bill or a customer the last changed first.

        All of them the last written first, those that fit a text and a status alone; each word is
        part of what a search finds the customer by, or the whole number of the bill.
        """
        wanted = {"bill_id": bill_id, "kind": kind, "occasion": occasion}
        wanted["customer_id"] = customer_id
        filters = [Filter(c, "eq", v) for c, v in wanted.items() if v is not None]
        if not filters:
            answer = self._call(
                "list_notifications",
                text=text,
                status=status,
                offset=(page - 1) * page_size,
                limit=page * page_size,
                count_to=COUNTED_TO,
            )
            items = tuple(Notification.model_validate(row) for row in answer["rows"])
            return Page(items=items, total=answer["total"])
        rows, total = self._page(
            "notification_list",
            filters=filters,
            order=["updated_at.desc", "id.desc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(Notification.model_validate(row) for row in rows), total=total)
