"""What Stripe says of a payment that autopay began, in its answer and in its events alike."""

from typing import Any
from uuid import uuid4

import pytest

from services.payments.stripe.intents import (
    ATTEMPT,
    decline_of,
    failure_of,
    own_id,
    state_of,
    words_of,
)


def intent(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "pi_1", "status": status, "amount": 500, "currency": "inr"} | more


def test_a_payment_that_succeeded_says_how_much_came() -> None:
    state = state_of(intent("succeeded", amount_received=500))
    assert (state.id, state.status, state.amount, state.currency) == (
        "pi_1",
        "succeeded",
        500,
        "INR",
    )


@pytest.mark.parametrize(
    ("error", "decline", "code"),
    [
        ({"code": "card_declined", "decline_code": "insufficient_funds"}, "soft", None),
        ({"code": "card_declined", "decline_code": "stolen_card"}, "hard", None),
        ({"code": "expired_card"}, "hard", "expired_card"),
        ({"code": "card_declined", "decline_code": "generic_decline"}, "soft", None),
        ({"code": "card_declined", "decline_code": "never_seen_before"}, "soft", None),
        # The network's advice goes before the code.
        (
            {
                "code": "card_declined",
                "decline_code": "generic_decline",
                "advice_code": "do_not_try_again",
            },
            "hard",
            None,
        ),
        ({"code": "debit_not_authorized"}, "hard", "debit_not_authorized"),
        ({"code": "amount_too_small"}, "amount", "amount_too_small"),
    ],
)
def test_a_decline_is_soft_hard_or_of_the_amount(
    error: dict[str, str], decline: str, code: str | None
) -> None:
    state = state_of(intent("requires_payment_method", last_payment_error=error))
    assert (state.status, state.decline) == ("failed", decline)
    assert state.code == (code or error["decline_code"])
    assert state.detail.endswith(".")


def test_what_the_bank_wants_confirmed_is_no_failure() -> None:
    error = {"code": "authentication_required", "decline_code": "authentication_required"}
    declined = state_of(intent("requires_payment_method", last_payment_error=error))
    assert (declined.status, declined.decline) == ("confirming", "authentication")
    assert state_of(intent("requires_action")).status == "confirming"
    assert failure_of(error, None).status == "confirming"


def test_a_debit_under_way_and_a_payment_called_off() -> None:
    assert state_of(intent("processing")).status == "processing"
    called_off = state_of(intent("canceled"))
    assert (called_off.status, called_off.decline, called_off.code) == (
        "failed",
        "soft",
        "canceled",
    )


def test_only_an_id_of_ours_is_read_from_metadata() -> None:
    ours = str(uuid4())
    assert own_id({ATTEMPT: ours}, ATTEMPT) == ours
    assert own_id({ATTEMPT: "1; drop table"}, ATTEMPT) is None
    assert own_id({}, ATTEMPT) is None
    assert own_id(None, ATTEMPT) is None


def test_strange_words_of_stripe_are_not_passed_on() -> None:
    state = state_of(intent("requires_payment_method", last_payment_error={"code": "<b>x</b>"}))
    assert "<b>" not in state.code + state.detail
    assert decline_of("") == "soft"
    assert words_of("do_not_honor") == "The bank declined it (do not honor)."
