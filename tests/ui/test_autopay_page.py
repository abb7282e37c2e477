"""Autopay as the office sees it: what is next and what is over, the policy, and a customer's."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from pages.registry import AUTOPAY, BILL, CUSTOMER
from scheduler import Scheduler
from services.autopay.signing_up import plans
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.languages.language import Language
from services.payments.stripe.intents import words_of
from services.records.bills import Bill
from services.records.customers.autopay import AttemptResult, SavedMethod
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.ui.page_runs import fill, press, signed_in, user_of, words

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


def tried(utility: Utility, bill: Bill, **result: Any) -> None:
    """The bill is charged on its due date, and Stripe answers so."""
    book, outbox = utility.services.database.autopay, plans(utility.services.outbox)
    assert bill.due_date is not None

    def step(on: date) -> dict[str, Any]:
        _, run = utility.services.database.claim_job_run(
            job="autopay", scheduled_on=on, owner="a", lease_seconds=60, started_by="test"
        )
        of = {"run": run.ref(lease_seconds=60), "today": on, "limit": 10, "outbox": outbox}
        return {"actor": "job:autopay", **of}

    book.announce(**step(bill.due_date - timedelta(days=7)))
    (attempt,), _ = book.begin(**step(bill.due_date), owner="a", lease_seconds=60)
    answer = AttemptResult.model_validate({"on": bill.due_date} | result)
    book.end_attempt(actor="x", attempt_id=attempt.id, result=answer, outbox=outbox)


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


@pytest.mark.parametrize(
    ("code", "english", "spanish"),
    [
        ("expired_card", "The card has expired", "La tarjeta ha vencido"),
        ("stolen_card", "The bank declined the card", "El banco rechazó la tarjeta"),
        ("pickup_card", "The bank declined it (pickup card)", "El banco lo rechazó (pickup card)"),
    ],
)
def test_a_charge_that_failed_shows_what_was_tried_and_why_in_the_viewer_s_language(
    utility: Utility, bill: Bill, code: str, english: str, spanish: str
) -> None:
    tried(utility, bill, status="failed", decline="hard", code=code, detail=words_of(code))
    said = words(page(utility, view="Over"))
    assert "Failed" in said
    assert "₹540.35" in said
    assert "₹0.00" not in said
    assert english in said
    manager = replace(ADMIN, user=user_of(Role.MANAGER))
    utility.services.user_languages.choose("es", principal=manager)
    # The address has the view as its language calls it.
    said = words(page(utility, view=Language.of("es").gettext("Over")))
    assert spanish in said
    assert english not in said


def test_a_charge_under_way_says_since_when_and_until_when(utility: Utility, bill: Bill) -> None:
    tried(utility, bill, status="processing", payment_intent="pi_1")
    said = words(page(utility))
    assert "Under way" in said
    assert "The charge has been under way since" in said
    where = {"id": bill.id}
    shown = words(signed_in(utility.services, Role.MANAGER, BILL.script, **where))
    assert "The charge has been under way since" in shown


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
