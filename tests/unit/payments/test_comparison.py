"""Our payments held against Stripe's, by its id of each."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.payments.comparison import compare
from services.records.reconciliation import PaymentHere, PaymentThere

AT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def there(intent: str, minor: int = 1000, **other: Any) -> PaymentThere:
    fields: dict[str, Any] = {"payment_intent": intent, "amount_minor": minor, "currency": "INR"}
    fields |= {"refunded_minor": 0, "at": AT, "bill_reference": "INV-000001"}
    return PaymentThere.model_validate(fields | other)


def here(intent: str, minor: int = 1000, **other: Any) -> PaymentHere:
    fields: dict[str, Any] = {"payment_intent": intent, "amount_minor": minor, "currency": "INR"}
    fields |= {"id": "x", "refunded_minor": 0, "received_at": AT, "account_no": "A-1"}
    return PaymentHere.model_validate(fields | {"bill_reference": "INV-000001"} | other)


def test_what_both_have_alike_is_counted_by_currency() -> None:
    both = compare(
        there=[there("a"), there("b", 500), there("c", 70, currency="JPY")],
        here=[here("c", 70, currency="JPY"), here("b", 500), here("a")],
    )
    assert both.differences == ()
    assert [(e.currency, e.number, e.minor) for e in both.equal] == [
        ("INR", 2, 1500),
        ("JPY", 1, 70),
    ]


def test_what_only_one_of_us_has_is_told_with_what_is_known_of_it() -> None:
    compared = compare(there=[there("a")], here=[here("b")])
    only_there, only_here = compared.differences
    assert (only_there.kind, only_there.here, only_there.account_no) == ("only_there", None, None)
    assert only_there.bill_reference == "INV-000001"
    assert (only_here.kind, only_here.there, only_here.account_no) == ("only_here", None, "A-1")
    assert compared.equal == ()


@pytest.mark.parametrize(
    ("ours", "kind"),
    [
        ({"minor": 999}, "amount"),
        ({"currency": "JPY"}, "amount"),
        ({"refunded_minor": 1}, "refunds"),
    ],
)
def test_amounts_currencies_and_refunds_must_be_the_same(ours: dict[str, Any], kind: str) -> None:
    (difference,) = compare(there=[there("a")], here=[here("a", **ours)]).differences
    assert difference.kind == kind


def test_the_oldest_difference_comes_first() -> None:
    late, early = there("a"), here("b", received_at=AT.replace(hour=8))
    assert [d.payment_intent for d in compare(there=[late], here=[early]).differences] == ["b", "a"]
