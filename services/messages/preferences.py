"""What a customer wants of messages: by which channel, at which hours, or none."""

from collections.abc import Sequence
from datetime import datetime, time
from typing import Final

from services.languages.sentence import sentence
from services.messages.channels import (
    SHARED_DISCORD,
    SMS,
    Channel,
    NotDeliverable,
    OutgoingMessage,
    PreparedMessage,
)
from services.messages.facts import REQUIRED_BY_LAW
from services.records.messages import CustomerContact
from services.records.outbox import OutboxKind

_A_DAY: Final = 86_400


def in_order(channels: Sequence[Channel], contact: CustomerContact) -> list[Channel]:
    """The channels as they are tried: the preferred one first, then in their own order."""
    return sorted(channels, key=lambda channel: channel.name != contact.preferred)


def spares(channel: Channel, contact: CustomerContact, reached: Sequence[Channel]) -> bool:
    """Whether a channel is not needed, as the customer is `reached` on others.

    Who prefers one gets no second message; an SMS costs money, and goes where nothing else can.
    """
    own = [one for one in reached if one.name != SHARED_DISCORD]
    if channel.name == SHARED_DISCORD or not own:
        return False
    return contact.preferred is not None or channel.name == SMS


def prepared_for(channel: Channel, message: OutgoingMessage) -> PreparedMessage | NotDeliverable:
    """The message on a channel, or why there is none; of who opted out, only the office's note.

    What the law asks for goes to them too.
    """
    prepared = channel.prepare(message)
    if not is_unwanted(message.kind, message.contact) or channel.name == SHARED_DISCORD:
        return prepared
    return NotDeliverable(sentence("the customer wants no messages"), prepared.text)


def is_unwanted(kind: OutboxKind, contact: CustomerContact) -> bool:
    """Whether the customer opted out of messages such as this."""
    return contact.opted_out_at is not None and kind not in REQUIRED_BY_LAW


def quiet_seconds(now: datetime, start: time, end: time) -> int:
    """The seconds to the end of quiet hours at a local time `now`; 0 outside them.

    They run over midnight where they start later than they end. On a day on which clocks change
    the end may be an hour off; what waits is looked at again then.
    """
    at, first, last = _second(now.time()), _second(start), _second(end)
    within = first <= at < last if first < last else at >= first or at < last
    return (last - at) % _A_DAY if within else 0


def _second(of: time) -> int:
    return of.hour * 3600 + of.minute * 60 + of.second
