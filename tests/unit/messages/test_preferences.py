"""What a customer wants of messages: the order of channels, and their quiet hours."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any, cast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.messages.channels import Channel
from services.messages.preferences import in_order, is_unwanted, quiet_seconds, spares
from services.records.messages import CustomerContact

NAMES = ("discord", "discord_customer", "whatsapp", "email", "sms")


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


ALL = cast("Sequence[Channel]", [Named(name) for name in NAMES])


def contact(**wishes: Any) -> CustomerContact:
    facts = {"customer_id": "c", "language": "en", "phone": "", "email": ""}
    none = {"discord_webhook_url": None, "whatsapp_opt_in_at": None}
    return CustomerContact.model_validate(facts | none | wishes)


@pytest.mark.parametrize(
    ("preferred", "reached", "used"),
    [
        (None, (), NAMES),
        (None, ("discord_customer", "whatsapp", "email"), NAMES[:4]),
        (None, ("email",), NAMES[:4]),
        ("sms", ("sms",), ("sms", "discord")),
        ("email", ("email",), ("email", "discord")),
        # The address bounced: the next one takes it, and no further.
        ("email", ("whatsapp",), ("email", "discord", "discord_customer", "whatsapp")),
        # The note in the office's channel reaches no customer.
        ("email", ("discord",), ("email", *NAMES[:3], "sms")),
    ],
)
def test_the_preferred_channel_is_tried_first_and_others_where_it_cannot(
    preferred: str | None, reached: tuple[str, ...], used: tuple[str, ...]
) -> None:
    wants = contact(preferred=preferred)
    so_far: list[Channel] = []
    tried: list[str] = []
    for channel in in_order(ALL, wants):
        if spares(channel, wants, so_far):
            continue
        tried.append(channel.name)
        so_far += [channel] if channel.name in reached else []
    assert tried == list(used)


def test_who_opted_out_still_gets_what_the_law_asks_for() -> None:
    wants = contact(opted_out_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert [is_unwanted(kind, wants) for kind in ("overdue_notice", "disconnection_notice")] == [
        *(True, False),
    ]
    assert not is_unwanted("overdue_notice", contact())


TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0))


@given(TIMES, TIMES, st.times())
def test_what_waits_is_sent_at_the_end_of_the_quiet_hours(start: time, end: time, at: time) -> None:
    assume(start != end)
    now = datetime.combine(datetime(2026, 3, 1, tzinfo=UTC), at.replace(microsecond=0), UTC)
    seconds = quiet_seconds(now, start, end)
    over_midnight = start > end
    after_start, before_end = now.time() >= start, now.time() < end
    quiet = after_start or before_end if over_midnight else after_start and before_end
    assert bool(seconds) is quiet
    if seconds:
        then = datetime.fromtimestamp(now.timestamp() + seconds, UTC)
        assert then.time() == end
        assert 0 < seconds < 86_400
