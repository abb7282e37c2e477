"""Our requests and our webhook against a stand-in for Stripe that somebody else wrote."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from app import create_app
from services.bootstrap_providers import Addresses
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
