"""Autopay as the office sees it: what is next and what is over, the policy, and a customer's."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from pages.registry import AUTOPAY, CUSTOMER
from scheduler import Scheduler
from services.autopay.signing_up import plans
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.records.bills import Bill
from services.records.customers.autopay import SavedMethod
from tests.integration.utility import Utility, make_utility
from tests.ui.test_pages import fill, press, signed_in, words

pytestmark = pytest.mark.postgres
VIEWERS = (Role.CASHIER, Role.CLERK, Role.MANAGER, Role.AUDITOR, Role.ADMIN)
POLICY_MAKERS = (Role.MANAGER, Role.ADMIN)
ENDERS = (Role.CLERK, Role.MANAGER, Role.ADMIN)
CARD = SavedMethod(
    stripe_customer="cus_1",
    payment_method="pm_1",
    kind="card",
    brand="visa",
    last4="4242",
    exp_month=12,
    exp_year=2040,
)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=datetime.now(UTC))
    run_with(made.services, Scheduler(made.services))
    yield made
    run_with(None)
    made.services.close()


@pytest.fixture
def bill(utility: Utility) -> Bill:
    """A bill that autopay is to charge."""
    utility.add_meter("M1")
    bill = utility.submit("M1", 1117).bill
    assert isinstance(bill, Bill)
    book = utility.services.database.autopay
    mandate = book.open(
        actor="customer:A-M1",
        mandate_id=str(uuid4()),
        customer_id=bill.customer_id,
        currency="INR",
        consent="I agree.",
        limit_minor=500_000,
        at=utility.now,
        session_id="cs_1",
        stripe_customer="cus_1",
    )
    book.complete(
        actor="system:autopay",
        mandate_id=mandate.id,
        saved=CARD,
        today=utility.today,
        outbox=plans(utility.services.outbox),
    )
    return bill


def page(utility: Utility, role: Role = Role.MANAGER, **query: str) -> AppTest:
    return signed_in(utility.services, role, AUTOPAY.script, **query)


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


@pytest.mark.usefixtures("bill")
@pytest.mark.parametrize("role", Role)
def test_each_role_sees_what_it_may(utility: Utility, role: Role) -> None:
    app = page(utility, role)
    assert not app.exception
    said = words(app)
    assert ("House M1, A-M1" in said) == (role in VIEWERS)
    if role not in VIEWERS:
        return
    assert "₹540.35" in said
    assert "Visa …4242" in said
    # Without Stripe nothing is charged, and the page says so.
    assert "Autopay is off" in said
    app = page(utility, role, view="Policy")
    assert "Customers hear of a charge 7 days before" in words(app)
    assert ("Publish" in labels(app)) == (role in POLICY_MAKERS)


def test_a_policy_is_published_and_a_wrong_one_refused(utility: Utility) -> None:
    app = page(utility, view="Policy")
    fill(app, "Further tries, days after the first", "7, 3")
    app = press(app, "Publish")
    assert "Put the days of further tries in their order" in words(app)
    fill(app, "Further tries, days after the first", "2, 4, 8")
    app = press(app, "Publish")
    assert "The policy is published." in words(app)
    assert utility.services.database.autopay.policy().retry_days == (2, 4, 8)


@pytest.mark.parametrize("role", VIEWERS)
def test_the_office_ends_it_on_the_customer_s_page(
    utility: Utility, bill: Bill, role: Role
) -> None:
    where = {"id": bill.customer_id, "view": "Own page"}
    app = signed_in(utility.services, role, CUSTOMER.script, **where)
    said = words(app)
    assert "Visa …4242" in said
    assert "Never more than ₹5,000.00 at once." in said
    assert ("End it" in labels(app)) == (role in ENDERS)
    if role not in ENDERS:
        return
    fill(app, "Why", "Asked by phone")
    app = press(app, "End it")
    assert "Autopay has ended." in words(app)
    assert "It has ended." in words(app)
    assert utility.services.database.bill(bill.id).spared_because is None
    over = words(page(utility, role, view="Over"))
    assert "Not charged" in over
    assert "Asked by phone" in over
