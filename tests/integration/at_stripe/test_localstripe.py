"""Our requests and our webhook against a stand-in for Stripe that somebody else wrote."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from app import create_app
from services.bootstrap_providers import Addresses
from services.records.customers.autopay import Attempt, SavedMethod
from services.records.entries import NewPayment
from tests.integration.api.serving import serving
from tests.integration.at_stripe.local import KEY, Local, localstripe
from tests.integration.at_stripe.stripe_server import SECRET
from tests.integration.utility import ADMIN, Utility, make_utility


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    """Localstripe, listening."""
    with localstripe() as running:
        yield running


@pytest.fixture
def utility(local: Local, database: str, tmp_path: Path) -> Iterator[Utility]:
    """A utility whose Stripe it is."""
    made = make_utility(
        database,
        tmp_path,
        more_settings={"STRIPE_SECRET_KEY": KEY, "STRIPE_WEBHOOK_SECRET": SECRET},
        addresses=Addresses(stripe=local.url),
    )
    yield made
    assert made.services.database.check_ledger().problems == ()
    made.services.close()


def test_a_payment_goes_back_in_two_parts(local: Local, utility: Utility) -> None:
    utility.add_meter("M1")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    row = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": 54_035, "currency": "INR"}
    row |= {"method": "stripe", "provider_id": local.paid(54_035), "reference": ""}
    row |= {"received_at": utility.now, "received_on": utility.today}
    database, refunds = utility.services.database, utility.services.refunds
    database.record_payments(actor=ADMIN.user, payments=[NewPayment.model_validate(row)])
    for amount in ("270.17", None):
        done = refunds.refund(
            payment_id=str(row["id"]),
            amount=amount,
            by_stripe=True,
            method="stripe",
            reference="",
            reason="Asked for it",
            principal=ADMIN,
            now=datetime.now(UTC),
        )
        assert done.status == "done"
        assert done.provider_id is not None
        assert refunds.stripe is not None
        found = refunds.stripe.refund_of(payment_intent=str(row["provider_id"]), return_id=done.id)
        assert found is not None
        assert found.id == done.provider_id
    assert database.payment(str(row["id"])).status == "returned"
    assert database.bill(bill.id).balance_minor == 54_035


def saved_at(local: Local, number: str) -> SavedMethod:
    """A customer there with a card."""
    theirs = local.post("/v1/customers", email="somebody@post.example")["id"]
    card = {"card[number]": number, "card[exp_month]": "12", "card[exp_year]": "2040"}
    method = local.post("/v1/payment_methods", type="card", **card, **{"card[cvc]": "123"})
    local.post(f"/v1/payment_methods/{method['id']}/attach", customer=theirs)
    return SavedMethod(
        stripe_customer=theirs, payment_method=method["id"], kind="card", last4=number[-4:]
    )


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        ("4242424242424242", "succeeded", ""),
        # A card that can be saved, and is declined each time it is charged.
        ("4000000000000341", "failed", "card_declined"),
        # One whose bank wants each payment confirmed.
        ("4000002500003155", "confirming", "requires_action"),
    ],
)
def test_autopay_charges_what_was_saved(
    local: Local, utility: Utility, number: str, status: str, code: str
) -> None:
    at_stripe = utility.services.autopay.sign_up.stripe
    assert at_stripe is not None
    saved = saved_at(local, number)
    attempt = Attempt(
        id=str(uuid4()),
        charge_id="x",
        mandate_id="x",
        customer_id="x",
        number=1,
        amount_minor=54_035,
        currency="INR",
        bills=(),
        status="asking",
        payment_intent=None,
        decline="",
        code="",
        detail="",
        payment_id=None,
        started_at=datetime.now(UTC),
        stripe_customer=saved.stripe_customer,
        payment_method=saved.payment_method,
        kind="card",
        bill_number=1,
    )
    state = at_stripe.charge(attempt, return_url="https://bills.example/my/autopay")
    assert (state.status, state.code) == (status, code)
    if status == "succeeded":
        assert (state.amount, state.currency) == (54_035, "INR")
    if state.id is not None:
        found = at_stripe.state(state.id)
        assert (found.id, found.status) == (state.id, status)
    if status == "confirming":
        assert state.id is not None
        assert at_stripe.call_off(state.id).code == "canceled"
    at_stripe.forget(saved.payment_method)
    # Once more is as good as once.
    at_stripe.forget(saved.payment_method)


def test_its_signature_is_one_that_our_webhook_takes(local: Local, utility: Utility) -> None:
    database = utility.services.database
    with serving(create_app(utility.services)) as port:
        url = f"http://127.0.0.1:{port}/webhook/stripe"
        local.webhook(url, SECRET)
        intent = local.paid(54_035)
        until = time.monotonic() + 20
        while not database.stripe_events(text=intent).total and time.monotonic() < until:
            time.sleep(0.1)
    (event,) = database.stripe_events(text=intent).items
    assert (event.type, event.outcome) == ("payment_intent.succeeded", "kept")
