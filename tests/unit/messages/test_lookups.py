"""How long a queue of messages takes at its rate."""

from datetime import UTC, datetime, timedelta

from services.messages.lookups import queues_of
from services.records.messages import QueuedMessages

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def test_a_queue_takes_as_long_as_its_rate_says() -> None:
    found = [QueuedMessages(channel="discord", waiting=90, since=NOON)]
    (queue,) = queues_of(found, {"discord": 30, "whatsapp": 4_500})
    assert (queue.waiting, queue.takes) == (90, timedelta(minutes=3))


def test_a_channel_that_is_switched_off_has_no_end_to_tell_of() -> None:
    found = [QueuedMessages(channel="discord", waiting=90, since=NOON)]
    assert queues_of(found, {"whatsapp": 4_500}) == ()
