"""Steps 12 and 13: a message goes out on every channel there is, once on each, and is logged.

Before a message leaves, its row says so. Neither Discord's webhooks nor WhatsApp knows idempotency
keys, so a message that nobody knows the end of is logged as "unknown" and never sent a second time.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from services.database.service import DatabaseService
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.http import OutcomeUnknown
from services.messages.channels import NO_CHANNEL, Channel, NotDeliverable, PreparedMessage
from services.messages.templates import WriteMessage
from services.outbox.outbox import StepDone
from services.records.bills import Bill
from services.records.messages import NotificationStatus
from services.records.outbox import OutboxKind

log = logging.getLogger(__name__)

_IN_WORDS: Final[dict[NotificationStatus, str]] = {
    "sent": "sent",
    "unknown": "may have arrived",
    "failed": "refused",
    "waiting": "not yet",
    "not_configured": "not sent",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a message on one channel."""

    channel: Channel
    status: NotificationStatus
    reason: str = ""

    @property
    def phrase(self) -> str:
        """One phrase for step 12."""
        words = f"{self.channel.label}: {_IN_WORDS.get(self.status, self.status)}"
        return f"{words} ({self.reason.rstrip('.')})" if self.reason else words


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Step 12: the message on each channel; one that fails does not keep back the others."""

    database: DatabaseService
    channels: Sequence[Channel]
    writing: WriteMessage

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        """Send what is not sent yet.

        Raises TemporaryFailure while a channel is to be tried again, FinalFailure when every
        channel that there is for this customer refused.
        """
        bill = self.database.bill(bill.id)
        if reason := self.writing.why_unsaid(bill=bill, kind=kind, facts=facts):
            return StepDone(f"nothing sent: {reason}", facts={"sent": "no"})
        text = self.writing.by_now(bill=bill, kind=kind, facts=facts)
        facts = self.writing.with_today(facts)
        contact = self.database.customer_contact(bill.customer_id)
        outcomes = []
        for channel in self.channels:
            prepared = channel.prepare(
                bill=bill, kind=kind, text=text, contact=contact, facts=facts
            )
            outcomes.append(self._send(channel, prepared, bill, kind, facts.get("occasion", "")))
        return _summed_up(outcomes)

    def _send(
        self,
        channel: Channel,
        prepared: PreparedMessage | NotDeliverable,
        bill: Bill,
        kind: OutboxKind,
        occasion: str,
    ) -> Sent:
        if isinstance(prepared, NotDeliverable):
            return Sent(channel, "not_configured", prepared.reason)
        row_id = notification_id(
            bill_id=bill.id, kind=kind, channel=channel.name, occasion=occasion
        )
        claim = self.database.begin_notification(
            notification_id=row_id,
            bill_id=bill.id,
            kind=kind,
            occasion=occasion,
            channel=channel.name,
            recipient=prepared.recipient,
            body=prepared.text,
        )
        if not claim.send:
            return Sent(channel, claim.status, claim.error)
        return self._send_now(channel, prepared, row_id)

    def _send_now(self, channel: Channel, prepared: PreparedMessage, row_id: str) -> Sent:
        status: NotificationStatus
        message_id = error = ""
        try:
            message_id, status = prepared.send(row_id), "sent"
        except OutcomeUnknown as unknown:
            status, error = "unknown", f"{unknown} It may have arrived; it is not sent twice."
            log.warning("message %s over %s: %s", row_id, channel.name, error)
        except FinalFailure as refused:
            status, error = "failed", str(refused)
        except TemporaryFailure as away:
            status, error = "waiting", str(away)
        self.database.end_notification(
            notification_id=row_id, status=status, error=error, message_id=message_id
        )
        return Sent(channel, status, error)


@dataclass(frozen=True, slots=True)
class LogNotification:
    """Step 13: the log has a row for each channel, also for those on which nothing went out."""

    database: DatabaseService
    channels: Sequence[Channel]

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        """The rows that sending left, and one for each channel that it left out, with the text."""
        if facts.get("sent") == "no":
            return StepDone("nothing was sent, so nothing to log")
        occasion = facts.get("occasion", "")
        found = self.database.notifications(
            bill_id=bill.id, kind=kind, occasion=occasion, page_size=100
        )
        logged = {row.channel for row in found.items}
        contact = self.database.customer_contact(bill.customer_id)
        missing = []
        for channel in self.channels:
            prepared = channel.prepare(
                bill=bill, kind=kind, text=facts.get("text", ""), contact=contact, facts=facts
            )
            if channel.name not in logged and isinstance(prepared, NotDeliverable):
                missing.append(_left_out(bill, kind, occasion, channel.name, prepared))
        number = len(logged) + len(missing)
        detail = f"{number} {'entry' if number == 1 else 'entries'} in the log"
        return StepDone(detail, notifications=tuple(missing))


@dataclass(frozen=True, slots=True)
class KeepMessage:
    """Step 13 where nobody is written to: one row keeps the text that would have gone out."""

    because: str

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        """The text of step 11 and why it was not sent."""
        text = facts.get("text", "")
        if not text:
            return StepDone("nothing was written, so nothing to keep")
        occasion = facts.get("occasion", "")
        kept = _left_out(bill, kind, occasion, NO_CHANNEL, NotDeliverable(self.because, text))
        return StepDone("kept in the log, not sent", notifications=(kept,))


def notification_id(*, bill_id: str, kind: str, channel: str, occasion: str = "") -> str:
    """The id of a message: the same however often it is tried."""
    path = "/".join((bill_id, kind, *filter(None, (occasion,)), channel))
    return str(uuid5(NAMESPACE_URL, f"electricity-billing/notification/{path}"))


def _left_out(
    bill: Bill, kind: OutboxKind, occasion: str, channel: str, prepared: NotDeliverable
) -> dict[str, str]:
    return {
        "id": notification_id(bill_id=bill.id, kind=kind, channel=channel, occasion=occasion),
        "channel": channel,
        "status": "not_configured",
        "recipient": "",
        "body": prepared.text,
        "error": prepared.reason,
    }


def _summed_up(outcomes: Sequence[Sent]) -> StepDone:
    tried = [sent for sent in outcomes if sent.status != "not_configured"]
    detail = "; ".join(sent.phrase for sent in tried or outcomes)
    statuses = {sent.status for sent in tried}
    if "waiting" in statuses:
        raise TemporaryFailure(detail)
    if statuses == {"failed"}:
        raise FinalFailure(detail)
    return StepDone(detail or "no channel")
