"""Only what Stripe signed just now, with our webhook's secret, is read at all."""

import json
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
import stripe
from pydantic import SecretStr

from services.database.service import DatabaseService
from services.outbox.outbox import Outbox
from services.payments.payment_received import PaymentReceived, SignatureRefused
from services.payments.stripe.events import NotAnEvent
from services.records.reconciliation import AppliedEvent
from tests.integration.payments.told import AT, completed

SECRET = "whsec_ours"
PAYLOAD = json.dumps(completed(None, "pi_1", 100)).encode()
NOW = int(AT.timestamp())


class MonthEnd:
    """Stands where the database is, and notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def apply_stripe_event(self, **told: Any) -> AppliedEvent:
        self.told.append(told)
        return AppliedEvent(replay=False, outcome="applied", detail="", payment_id=None)


@pytest.fixture
def books() -> MonthEnd:
    return MonthEnd()


@pytest.fixture
def story(books: MonthEnd) -> PaymentReceived:
    database = cast(DatabaseService, books)
    return PaymentReceived(
        database=database,
        outbox=Outbox(database=database),
        zone=ZoneInfo("Asia/Kolkata"),
        webhook_secret=SecretStr(SECRET),
    )


def signed(payload: bytes = PAYLOAD, *, secret: str = SECRET, at: int = NOW) -> str:
    made = stripe.WebhookSignature.generate_signature_header(payload.decode(), secret, at)
    return str(made)


OURS = signed().split("v1=")[1]


@pytest.mark.parametrize("seconds", [0, -300, 300])
def test_a_fresh_signature_is_taken(story: PaymentReceived, books: MonthEnd, seconds: int) -> None:
    story.receive(payload=PAYLOAD, signature=signed(at=NOW + seconds), now=AT)
    (told,) = books.told
    assert told["effect"]["amount_minor"] == 100
    assert told["arrived_by"] == "webhook"


def test_one_good_signature_among_several_is_enough(
    story: PaymentReceived, books: MonthEnd
) -> None:
    rolled = signed(secret="whsec_old").split("v1=")[1]
    both = f"t={NOW},v1={rolled},v1={OURS},v0=abc"
    story.receive(payload=PAYLOAD, signature=both, now=AT)
    assert len(books.told) == 1


def test_a_years_old_event_with_a_fresh_signature_is_taken(
    story: PaymentReceived, books: MonthEnd
) -> None:
    old = json.dumps(completed(None, "pi_1", 100, at=-5 * 365 * 86400)).encode()
    story.receive(payload=old, signature=signed(old), now=AT)
    assert books.told[0]["effect"]["received_on"] == "2021-11-21"


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        " ",
        "garbage",
        ",,,",
        f"t={NOW}",
        f"v1={OURS}",
        f"t={NOW},v1=",
        f"t={NOW},v1={'0' * 64}",
        f"t={NOW},v0={OURS}",
        f"t={NOW + 1},v1={OURS}",
        f"t=now,v1={OURS}",
        f"t=,v1={OURS}",
        f"t={NOW},t={NOW},v1={OURS}",
        f"t={NOW},v1={OURS[:-1]}",
        f"t={NOW},v1=é{OURS}",
        signed(secret="whsec_another"),
        signed(at=NOW - 301),
        signed(at=NOW + 301),
        signed(at=NOW - 5 * 365 * 86400),
        signed() + "," * 3000,
    ],
)
def test_any_other_signature_is_refused_and_nothing_is_stored(
    story: PaymentReceived, books: MonthEnd, signature: str | None
) -> None:
    with pytest.raises(SignatureRefused) as refused:
        story.receive(payload=PAYLOAD, signature=signature, now=AT)
    assert SECRET not in str(refused.value)
    assert books.told == []


@pytest.mark.parametrize("payload", [PAYLOAD[:-1], PAYLOAD + b" ", b"", b"{}", PAYLOAD + b"\xff"])
def test_another_body_than_the_signed_one_is_refused(
    story: PaymentReceived, books: MonthEnd, payload: bytes
) -> None:
    with pytest.raises(SignatureRefused):
        story.receive(payload=payload, signature=signed(), now=AT)
    assert books.told == []


@pytest.mark.parametrize(
    "payload", [b"", b"no json", b"[]", b"null", b'"evt"', b"{}", b'{"a": NaN}', b"[" * 100_000]
)
def test_a_signed_body_that_is_no_event_is_refused(
    story: PaymentReceived, books: MonthEnd, payload: bytes
) -> None:
    with pytest.raises(NotAnEvent):
        story.receive(payload=payload, signature=signed(payload), now=AT)
    assert books.told == []


def test_the_secret_is_never_shown(story: PaymentReceived) -> None:
    assert SECRET not in repr(story)
