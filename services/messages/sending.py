"""Steps 12 and 13: a message goes out on every channel there is, once on each, and is logged.

Before a message leaves, its row says so. Neither Discord's webhooks nor WhatsApp knows idempotency
keys, so a message that nobody knows the end of is logged as "unknown" and never sent a second time.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from services.database.service import DatabaseService
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.integrations.http import OutcomeUnknown, ServiceUnavailable
from services.languages.language import Language
from services.messages.channels import (
    NO_CHANNEL,
    OWN_DISCORD,
    SHARED_DISCORD,
    Channel,
    NotDeliverable,
    OutgoingMessage,
    PreparedMessage,
    channels_for,
)
from services.messages.preferences import (
    in_order,
    is_unwanted,
    prepared_for,
    quiet_seconds,
    spares,
)
from services.messages.templates import WriteMessage
from services.outbox.outbox import GRANTED, StepDone
from services.outbox.steps import WaitsForTurn
from services.records.bills import Bill
from services.records.messages import CAME_TO_NOTHING, NotificationStatus
from services.records.outbox import OutboxKind

log = logging.getLogger(__name__)

# The facts of what somebody sends once more: the form that asked for it, and on which channel.
AGAIN: Final = "again"
AGAIN_ON: Final = "again_on"
_IN_WORDS: Final[dict[NotificationStatus, str]] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "not delivered",
    "bounced": "came back",
    "unknown": "may have arrived",
    "failed": "refused",
    "waiting": "waiting",
    "not_configured": "not sent",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a message on one channel."""

    channel: Channel
    status: NotificationStatus
    reason: str = ""
    queued: bool = False

    @property
    def reaches(self) -> bool:
        """Whether it has reached the customer, or still may."""
        return self.status != "not_configured" and self.status not in CAME_TO_NOTHING

    @property
    def phrase(self) -> str:
        """One phrase for step 12."""
        state = "in the queue" if self.queued else _IN_WORDS.get(self.status, self.status)
        words = f"{self.channel.label}: {state}"
        return f"{words} ({self.reason.rstrip('.')})" if self.reason else words


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Step 12: the message on each channel that the customer wants; one that fails keeps back none.

    `per_minute` has how many may leave on a channel in a minute; what has to wait is queued.
    `local_now` answers the time on the utility's clock, by which customers have their quiet hours.
    """

    database: DatabaseService
    channels: Sequence[Channel]
    writing: WriteMessage
    per_minute: Mapping[str, int] = field(default_factory=dict)
    local_now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        """Send what is not sent yet.

        Raises TemporaryFailure while a channel is to be tried again, WaitsForTurn while the
        message is in the queue of one or in the customer's quiet hours, FinalFailure when every
        channel that there is for this customer refused.
        """
        bill = self.writing.as_it_is(bill)
        if reason := self.writing.why_unsaid(bill=bill, kind=kind, facts=facts):
            return StepDone(f"nothing sent: {reason}", facts={"sent": "no"})
        contact = self.database.customer_contact(bill.customer_id)
        language = Language.of(contact.language)
        text = self.writing.by_now(bill=bill, kind=kind, facts=facts, language=language)
        facts = self.writing.as_of_today(bill, facts, language)
        message = OutgoingMessage(bill, kind, text, contact, facts)
        wanted = self._wanted(message)
        self._keep_quiet(message, wanted)
        outcomes: list[Sent] = []
        for channel in wanted:
            if spares(channel, contact, [sent.channel for sent in outcomes if sent.reaches]):
                continue
            outcomes.append(self._send(channel, prepared_for(channel, message), message))
        return _summed_up(outcomes, facts)

    def _wanted(self, message: OutgoingMessage) -> list[Channel]:
        """The channels in their order; of what somebody sends once more, the one they chose."""
        fitting = channels_for(message.kind, self.channels)
        channels = in_order(fitting, message.contact)
        chosen = message.facts.get(AGAIN_ON)
        return [channel for channel in channels if chosen in (None, channel.name)]

    def _keep_quiet(self, message: OutgoingMessage, wanted: Sequence[Channel]) -> None:
        """Raise WaitsForTurn in the customer's quiet hours."""
        contact, unwanted = message.contact, is_unwanted(message.kind, message.contact)
        if contact.quiet_from is None or contact.quiet_until is None or unwanted:
            return
        if seconds := quiet_seconds(self.local_now(), contact.quiet_from, contact.quiet_until):
            end = f"the end of the customer's quiet hours ({contact.quiet_until:%H:%M})"
            self._hold(message, wanted, f"Waits for {end}.")
            raise WaitsForTurn(end, seconds=seconds)

    def _hold(self, message: OutgoingMessage, wanted: Sequence[Channel], why: str) -> None:
        """Take it out of the queues, and say of the channel on which it will leave that it waits.

        Its turn may have come in quiet hours; nobody else is to wait for it.
        """
        held: dict[str, str] = {}
        for channel in wanted:
            prepared = prepared_for(channel, message)
            if channel.name != SHARED_DISCORD and isinstance(prepared, PreparedMessage):
                held = {
                    "notification_id": _id_of(message, channel),
                    "channel": channel.name,
                    "recipient": prepared.recipient,
                    "body": prepared.text,
                    "why": why,
                }
                break
        self.database.message_book.hold_message(
            bill_id=message.bill.id,
            customer_id=message.bill.customer_id,
            kind=message.kind,
            occasion=message.facts.get("occasion", ""),
            **held,
        )

    def _send(
        self,
        channel: Channel,
        prepared: PreparedMessage | NotDeliverable,
        message: OutgoingMessage,
    ) -> Sent:
        if isinstance(prepared, NotDeliverable):
            return Sent(channel, "not_configured", prepared.reason)
        bill, kind, facts = message.bill, message.kind, message.facts
        occasion = facts.get("occasion", "")
        row_id = _id_of(message, channel)
        claim = self.database.begin_notification(
            notification_id=row_id,
            bill_id=bill.id,
            customer_id=bill.customer_id,
            kind=kind,
            occasion=occasion,
            channel=channel.name,
            recipient=prepared.recipient,
            body=prepared.text,
            per_minute=self.per_minute.get(channel.name),
            granted=facts.get(GRANTED) == channel.name,
        )
        if not claim.send:
            return Sent(channel, claim.status, claim.error, claim.queued)
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
            self._keep_to_pause(channel, away)
        self.database.end_notification(
            notification_id=row_id, status=status, error=error, message_id=message_id
        )
        return Sent(channel, status, error)

    def _keep_to_pause(self, channel: Channel, away: TemporaryFailure) -> None:
        """Let no process send on a channel that asks for a pause; of customers' own each asks."""
        seconds = away.retry_after_seconds if isinstance(away, ServiceUnavailable) else None
        if seconds and channel.name in self.per_minute and channel.name != OWN_DISCORD:
            self.database.pause_channel(channel=channel.name, ms=math.ceil(seconds * 1000))


@dataclass(frozen=True, slots=True)
class LogNotification:
    """Step 13: the log has a row for each channel, also for those on which nothing went out."""

    database: DatabaseService
    channels: Sequence[Channel]
    writing: WriteMessage

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        """The rows that sending left, and one for each channel that it left out, with the text."""
        if facts.get("sent") == "no":
            return StepDone("nothing was sent, so nothing to log")
        occasion = facts.get("occasion", "")
        found = self.database.notifications(
            bill_id=bill.id or None,
            customer_id=bill.customer_id,
            kind=kind,
            occasion=occasion,
            page_size=100,
        )
        logged = {row.channel for row in found.items}
        contact = self.database.customer_contact(bill.customer_id)
        # What a step of dunning names is looked up on the day.
        said = self.writing.as_of_today(bill, facts, Language.of(contact.language))
        message = OutgoingMessage(bill, kind, facts.get("text", ""), contact, said)
        missing = []
        for channel in channels_for(kind, self.channels):
            prepared = prepared_for(channel, message)
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


def _id_of(message: OutgoingMessage, channel: Channel) -> str:
    """The id of a message on a channel; what somebody sends once more is another message."""
    return notification_id(
        bill_id=message.bill.id or message.bill.customer_id,
        kind=message.kind,
        channel=channel.name,
        occasion="/".join(filter(None, (message.facts.get("occasion"), message.facts.get(AGAIN)))),
    )


def notification_id(*, bill_id: str, kind: str, channel: str, occasion: str = "") -> str:
    """The id of a message: the same however often it is tried.

    `bill_id` is the customer's of a message about an account.
    """
    path = "/".join((bill_id, kind, *filter(None, (occasion,)), channel))
    return str(uuid5(NAMESPACE_URL, f"electricity-billing/notification/{path}"))


def _left_out(
    bill: Bill, kind: OutboxKind, occasion: str, channel: str, prepared: NotDeliverable
) -> dict[str, str]:
    return {
        "id": notification_id(
            bill_id=bill.id or bill.customer_id, kind=kind, channel=channel, occasion=occasion
        ),
        "channel": channel,
        "status": "not_configured",
        "recipient": "",
        "body": prepared.text,
        "error": prepared.reason,
    }


def _summed_up(outcomes: Sequence[Sent], facts: Mapping[str, str]) -> StepDone:
    tried = [sent for sent in outcomes if sent.status != "not_configured"]
    detail = "; ".join(sent.phrase for sent in tried or outcomes)
    statuses = {sent.status for sent in tried}
    if any(sent.status == "waiting" and not sent.queued for sent in tried):
        raise TemporaryFailure(detail)
    if "waiting" in statuses:
        raise WaitsForTurn(f"its turn: {detail}")
    own = {sent.status for sent in tried if sent.channel.name != SHARED_DISCORD}
    came_back = own <= CAME_TO_NOTHING and not own.isdisjoint({"undelivered", "bounced"})
    if came_back or (statuses and statuses <= CAME_TO_NOTHING):
        raise FinalFailure(detail)
    if AGAIN_ON in facts and not tried:
        raise FinalFailure(f"not sent once more: {detail or 'there is no such channel'}")
    return StepDone(detail or "no channel")
