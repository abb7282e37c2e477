"""What an event of Stripe means: read where it can be, kept for a person where it cannot."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest

from services.payments.stripe.events import NotAnEvent, TranslatedEvent, translate
from services.payments.stripe.intents import payment_id_of
from tests.integration.payments.told import (
    AT,
    Json,
    completed,
    dispute,
    event,
    refund_failed,
    refunded,
    session,
)

KOLKATA = ZoneInfo("Asia/Kolkata")
BILL_ID = str(uuid4())
KNOWN = {"bill_id": BILL_ID, "amount_minor": "54035", "currency": "INR"}


def told(raw: object, *, live: bool | None = False) -> TranslatedEvent:
    return translate(raw, zone=KOLKATA, live=live, now=AT + timedelta(days=1))


def paid(**other: Any) -> Json:
    return completed(None, "pi_1", 54_035, metadata=KNOWN, **other)


def test_a_paid_link_is_a_payment_of_its_bill() -> None:
    raw = paid()
    found = told(raw)
    assert found.event == {
        "id": raw["id"],
        "type": "checkout.session.completed",
        "created_at": "2026-11-20T09:00:00+00:00",
        "livemode": False,
        "object_id": "cs_pi_1",
        "payment_intent": "pi_1",
    }
    assert found.effect == {
        "kind": "payment",
        "payment_id": payment_id_of("pi_1"),
        "bill_id": BILL_ID,
        "link_id": "plink_unknown",
        "expected_minor": 54_035,
        "expected_currency": "INR",
        "amount_minor": 54_035,
        "currency": "INR",
        "received_at": "2026-11-20T09:00:00+00:00",
        "received_on": "2026-11-20",
    }
    assert found.outcome is None
    assert "rivate" not in json.dumps(found.effect | found.event)


def test_the_day_of_a_payment_is_the_utilitys() -> None:
    late = told(paid(at=10 * 3600))
    assert late.effect is not None
    assert late.effect["received_on"] == "2026-11-21"


def test_a_payment_from_the_future_counts_as_of_now() -> None:
    early = told(paid(at=30 * 86400))
    assert early.effect is not None
    assert early.effect["received_on"] == "2026-11-21"


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        (500, "jpy", 500),
        (5120, "kwd", 5120),
        (50_000, "ugx", 500),
        (540, "mga", 54_000),
        (7, "usd", 7),
    ],
)
def test_amounts_are_in_our_minor_units(amount: int, currency: str, minor: int) -> None:
    effect = told(completed(None, "pi_1", amount, currency=currency)).effect
    assert effect is not None
    assert (effect["amount_minor"], effect["currency"]) == (minor, currency.upper())
    back = told(refunded("pi_1", amount, at=1, currency=currency)).effect
    assert back is not None
    assert back["refunded_total_minor"] == minor


def test_a_payment_that_names_no_bill_is_one_all_the_same() -> None:
    for metadata in ({}, {"bill_id": "no uuid"}, {"bill_id": 7}, None, "x"):
        effect = told(completed(None, "pi_1", 100, metadata=metadata)).effect
        assert effect is not None
        assert (effect["kind"], effect["bill_id"]) == ("payment", None)


def test_a_payment_that_the_bank_still_has_brings_no_money() -> None:
    found = told(completed(None, "pi_1", 100, payment_status="unpaid"))
    awaited = {"kind": "payment_awaited", "bill_id": None, "link_id": "plink_unknown"}
    assert found.effect == awaited
    later = event("checkout.session.async_payment_succeeded", session(None, "pi_1", 100))
    assert (told(later).effect or {})["kind"] == "payment"
    for kind, meant in (("async_payment_failed", "payment_failed"), ("expired", "expired")):
        thing = session(None, "pi_1", 100, payment_status="unpaid")
        assert told(event(f"checkout.session.{kind}", thing)).effect == {"kind": meant}


def test_an_expired_session_without_a_payment_is_read() -> None:
    found = told(event("checkout.session.expired", {"id": "cs_1", "payment_intent": None}))
    assert (found.effect, found.event["payment_intent"]) == ({"kind": "expired"}, None)


def test_refunds_and_disputes_name_their_payment() -> None:
    on = {"on_date": "2026-11-20", "currency": "INR"}
    assert told(refunded("pi_1", 100, at=0)).effect == on | {
        "kind": "refunded",
        "refunded_total_minor": 100,
    }
    failed = {"kind": "refund_failed", "refund_id": "re_1", "amount_minor": 60}
    for kind in ("refund.failed", "charge.refund.updated", "refund.updated"):
        assert told(refund_failed("pi_1", "re_1", 60, at=0, kind=kind)).effect == on | failed
    succeeded = refund_failed("pi_1", "re_1", 60, at=0, kind="refund.updated", status="succeeded")
    assert told(succeeded).outcome == "kept"
    of_dispute = on | {"dispute_id": "dp_pi_1", "amount_minor": 70}
    for what, kind in (
        ("created", "dispute_opened"),
        ("funds_withdrawn", "dispute_withdrawn"),
        ("funds_reinstated", "dispute_reinstated"),
    ):
        assert told(dispute(what, "pi_1", 70, at=0)).effect == of_dispute | {"kind": kind}
    for status, result in (("won", "won"), ("lost", "lost"), ("warning_closed", "closed")):
        closed = told(dispute("closed", "pi_1", 70, at=0, status=status)).effect
        assert closed == of_dispute | {"kind": "dispute_closed", "result": result}
    assert told(dispute("created", "pi_1", 70, at=0)).event["payment_intent"] == "pi_1"


def test_a_thing_in_the_place_of_its_id_is_read() -> None:
    raw = completed(None, "pi_1", 100, payment_link={"id": "plink_1"})
    raw["data"]["object"]["payment_intent"] = {"id": "pi_1", "object": "payment_intent"}
    found = told(raw)
    assert found.effect is not None
    assert (found.event["payment_intent"], found.effect["link_id"]) == ("pi_1", "plink_1")


def test_an_event_of_another_kind_is_kept() -> None:
    found = told(event("customer.created", {"id": "cus_1", "object": "customer"}))
    assert (found.outcome, found.effect) == ("kept", None)


@pytest.mark.parametrize(
    "raw",
    [
        event("checkout.session.completed", {}),
        event("checkout.session.completed", session(None, None, 100)),
        event("checkout.session.completed", session(None, "pi_1", 100, currency=None)),
        event("checkout.session.completed", session(None, "pi_1", 100, currency="zzz")),
        event("checkout.session.completed", session(None, "pi_1", 550, currency="isk")),
        event("checkout.session.completed", session(None, "pi_1", 0)),
        event("checkout.session.completed", session(None, "pi_1", -5)),
        event("checkout.session.completed", session(None, "pi_1", 10**15)),
        event("checkout.session.completed", session(None, "pi_1", 100, amount_total="100")),
        event("checkout.session.completed", session(None, "pi_1", 100, amount_total=1.5)),
        event("checkout.session.completed", session(None, "pi_1", 100, amount_total=True)),
        event("checkout.session.completed", session(None, "pi_1", 100, payment_status="odd")),
        event("checkout.session.completed", session(None, "pi_'\x00", 100)),
        event("charge.refunded", {"id": "ch_1", "payment_intent": None}),
        event("charge.dispute.created", {"id": ["dp"], "amount": 5}),
        event("refund.failed", {}, data=None),
        event("refund.failed", {}, data={"object": [1]}),
    ],
)
def test_what_cannot_be_read_is_kept_for_a_person(raw: Json) -> None:
    found = told(raw)
    assert (found.outcome, found.effect) == ("kept", None)
    assert "look at it at Stripe" in found.detail


def test_a_session_without_money_is_kept_without_alarm() -> None:
    for other in ({"mode": "setup"}, {"payment_status": "no_payment_required"}):
        found = told(completed(None, "pi_1", 100, **other))
        assert (found.outcome, found.detail) == ("kept", "No money came with it.")


def test_the_event_of_a_connected_account_is_not_ours() -> None:
    found = told(paid() | {"account": "acct_1"})
    assert (found.outcome, found.effect) == ("ignored", None)


@pytest.mark.parametrize(
    ("live", "livemode", "outcome"),
    [(True, False, "ignored"), (False, True, "ignored"), (None, True, None), (True, True, None)],
)
def test_the_event_of_the_other_mode_is_not_ours(
    live: bool | None, livemode: bool, outcome: str | None
) -> None:
    assert told(paid() | {"livemode": livemode}, live=live).outcome == outcome


@pytest.mark.parametrize(
    "odd",
    [
        {"object": "charge"},
        {"object": "v2.core.event"},
        {"id": ""},
        {"id": None},
        {"id": "evt_\x00"},
        {"type": "Not A Type"},
        {"created": "2026-11-20"},
        {"created": 10**18},
        {"created": True},
        {"livemode": "yes"},
    ],
)
def test_what_is_no_event_is_refused(odd: Json) -> None:
    with pytest.raises(NotAnEvent):
        told(paid() | odd)
    with pytest.raises(NotAnEvent):
        told([paid()])
