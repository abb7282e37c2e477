"""A bill from its link to paid to refunded as the administrator sees it, in a real browser.

The app is a process of its own, with the tests' Stripe in the place of Stripe.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from services.bootstrap_providers import Addresses
from services.identity.permissions import Role
from services.records.bills import Bill
from services.settings import PROJECT_FOLDER
from tests.integration.at_stripe.shop import Shop
from tests.integration.at_stripe.stripe_server import SECRET, Stripe
from tests.integration.providers.published import STRIPE_KEY, Links
from tests.integration.providers.stand_in import running
from tests.integration.utility import make_utility
from tests.ui.app_process import AppProcess, settled

pytestmark = pytest.mark.browser

KEYS = {"STRIPE_SECRET_KEY": STRIPE_KEY, "STRIPE_WEBHOOK_SECRET": SECRET}


@dataclass
class Running:
    """The app, and a shop of this process over the same database."""

    app: AppProcess
    shop: Shop

    def webhook(self, payload: bytes, signature: str) -> int:
        """What Stripe sends comes to the app itself."""
        return requests.post(
            f"{self.app.url}/webhook/stripe",
            data=payload,
            headers={"Stripe-Signature": signature, "Content-Type": "application/json"},
            timeout=10,
        ).status_code

    def finish_outbox(self, bill: Bill) -> None:
        """Here or in the app, whoever has it."""
        until = time.monotonic() + 30
        while any(w.status == "open" for w in self.shop.database.outbox_of(bill.id)):
            assert time.monotonic() < until, "the owed work is not done"
            self.shop.services.outbox.sweep()
            time.sleep(0.1)

    def token(self) -> str:
        """An administrator's."""
        tokens: Any = self.shop.services.tokens
        return str(tokens.issue("office.one", Role.ADMIN, datetime.now(UTC)))


@pytest.fixture
def office(app_server: Callable[..., AppProcess]) -> Iterator[Running]:
    """An empty utility whose Stripe is the tests'."""
    stripe = Stripe(Links())
    with running(stripe.server()) as server:
        site = str(PROJECT_FOLDER / "tests" / "ui" / "stripe_site")
        path = os.pathsep.join(filter(None, (site, os.environ.get("PYTHONPATH"))))
        environment = {"DEMO": "off", "STRIPE_OF_THE_TESTS": server.url, "PYTHONPATH": path}
        app = app_server(environment | KEYS)
        dsn = ""
        utility = make_utility(
            dsn,
            Path(app.data_dir),
            more_settings={"DEMO": "off", **KEYS},
            addresses=Addresses(stripe=server.url),
        )
        made = Running(app, Shop(utility, stripe, server, dsn))
        yield made
        made.shop.assert_sound()
        utility.services.close()


def sign_in(page: Page, office: Running) -> None:
    page.goto(office.app.url)
    page.get_by_label("User id").fill("office.one")
    page.get_by_label("Token", exact=True).fill(office.token())
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Sign out").wait_for()
    settled(page)


def see_bill(page: Page, office: Running, bill: Bill) -> None:
    page.goto(f"{office.app.url}/bill?id={bill.id}")
    page.get_by_text(f"Bill {bill.reference}").first.wait_for()
    settled(page)


def test_the_office_sees_a_bill_paid_refunded_and_what_the_webhook_missed(
    office: Running, page: Page
) -> None:
    bill = office.shop.bill()
    sign_in(page, office)
    it_is_paid_and_thanked_for(office, page, bill)
    half_goes_back(office, page, bill)
    what_the_webhook_missed_is_taken_up(office, page, bill)


def it_is_paid_and_thanked_for(office: Running, page: Page, bill: Bill) -> None:
    see_bill(page, office, bill)
    link = page.get_by_role("link", name="Pay online")
    expect(link).to_have_attribute("href", bill.payment_url or "")
    office.shop.stripe.pay(bill.payment_url or "")
    assert office.shop.stripe.deliver(office.webhook) == [200]
    office.finish_outbox(bill)
    see_bill(page, office, bill)
    expect(page.get_by_text("Paid", exact=True).first).to_be_visible()
    expect(page.get_by_text("Thanks for a payment")).to_be_visible()
    expect(link).to_have_count(0)


def half_goes_back(office: Running, page: Page, bill: Bill) -> None:
    page.get_by_role("link", name="online by Stripe").click()
    page.get_by_text("Payment of ₹540.35").wait_for()
    settled(page)
    refund_on_the_page(page, "540.36")
    expect(page.get_by_text("That is more than what is left of the payment.")).to_be_visible()
    assert office.shop.stripe.refunds == {}
    refund_on_the_page(page, "270.17")
    expect(page.get_by_text("The refund is stored.")).to_be_visible()
    expect(page.get_by_text("Refund of ₹270.17")).to_be_visible()
    assert office.shop.stripe.deliver(office.webhook) == [200]
    office.finish_outbox(bill)
    the_refund_is_kept(office)
    page.reload()
    expect(page.get_by_text("Went back", exact=True)).to_be_visible()
    see_bill(page, office, bill)
    expect(page.get_by_text("Partly paid")).to_be_visible()
    expect(page.get_by_text("left to pay ₹270.17")).to_be_visible()
    # Money that went back is asked for again only once somebody says so.
    link = page.get_by_role("link", name="Pay online")
    expect(link).to_have_count(0)
    page.get_by_role("button", name="Collect again").click()
    page.get_by_label("Why").fill("The refund was too high")
    page.get_by_label("Why").press("Enter")
    settled(page)
    page.get_by_role("button", name="Collect this bill again").click()
    expect(page.get_by_role("button", name="Collect again")).to_have_count(0)
    office.finish_outbox(bill)
    see_bill(page, office, bill)
    expect(link).to_have_attribute("href", office.shop.database.bill(bill.id).payment_url or "")


def refund_on_the_page(page: Page, amount: str) -> None:
    heading = page.get_by_text("Refund it")
    form = page.get_by_label("Amount (INR)")
    if not form.is_visible():
        heading.click()
    form.fill(amount)
    page.get_by_label("Reason").fill("Paid twice, once at the office")
    page.get_by_role("button", name="Refund", exact=True).click()
    settled(page)


def the_refund_is_kept(office: Running) -> None:
    (payment,) = office.shop.database.payments().items
    (refund,) = office.shop.database.returns(payment_id=payment.id)
    assert (refund.amount_minor, refund.method, refund.status) == (27017, "stripe", "done")
    assert refund.created_by == "office.one"
    (at_stripe,) = office.shop.stripe.refunds.values()
    assert (at_stripe["id"], at_stripe["amount"]) == (refund.provider_id, 27017)


def what_the_webhook_missed_is_taken_up(office: Running, page: Page, bill: Bill) -> None:
    office.shop.stripe.pay(office.shop.database.bill(bill.id).payment_url or "")
    office.shop.stripe.lose()
    page.goto(f"{office.app.url}/reconciliation")
    page.get_by_role("button", name="Compare now").click()
    expect(page.get_by_text("1 difference", exact=True)).to_be_visible()
    expect(page.get_by_text("Only at Stripe")).to_be_visible()
    settled(page)
    page.get_by_role("button", name="Bring in what only Stripe has").click()
    expect(page.get_by_text("No difference", exact=True)).to_be_visible()
    expect(page.get_by_text("The ledger adds up")).to_be_visible()
    expect(page.get_by_text("2 payments the same")).to_be_visible()
    page.get_by_role("link", name="Stripe's events, and what became of them").click()
    expect(page.get_by_text("charge.refunded")).to_be_visible()
    expect(page.get_by_text("came by asking Stripe").first).to_be_visible()
    see_bill(page, office, bill)
    expect(page.get_by_text("Paid", exact=True).first).to_be_visible()
    assert office.shop.database.bill(bill.id).status == "paid"
