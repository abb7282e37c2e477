"""A customer on a cheap phone: the mail with its link, the bill, paying, the receipt, no dunning.

The app is a process of its own, with the tests' Stripe in the place of Stripe and a real mail
server; the browser runs no script of any page.
"""

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from services.bootstrap_providers import Addresses
from services.jobs import overdue_marking, payment_reminders
from services.jobs.runs import claim, perform
from services.settings import PROJECT_FOLDER
from tests.integration.at_stripe.autopay_server import AutopayStripe
from tests.integration.at_stripe.shop import Shop
from tests.integration.at_stripe.stripe_server import SECRET
from tests.integration.providers.published import STRIPE_KEY, Links
from tests.integration.providers.stand_in import running
from tests.integration.utility import make_utility
from tests.mail_server import Mailbox, body_of, mail_server
from tests.ui.app_process import AppProcess, free_port
from tests.ui.axe import grave_findings
from tests.ui.walking import PHONE_AGENT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LARGEST = 100 * 1024
_LINK = re.compile(r"http://localhost:\d+/my/open\?k=[\w-]+")
_CODE = re.compile(r"\b(\d{4} \d{4})\b")
_OVERFLOW = "() => document.documentElement.scrollWidth - innerWidth"
PAGES = (
    "",
    "/bills",
    "/payments",
    "/autopay",
    "/usage",
    "/reading",
    "/contact",
    "/moving-out",
    "/end-links",
)


@dataclass
class Home:
    """The app, a shop of this process over the same database, and the customer's mail."""

    app: AppProcess
    shop: Shop
    stripe: AutopayStripe
    box: Mailbox
    dsn: str

    def mail(self, subject: str) -> Any:
        """The mail about something, once it came."""
        until = time.monotonic() + 60
        while not (found := [m for m in self.box.mails if subject in str(m["Subject"])]):
            assert time.monotonic() < until, [str(m["Subject"]) for m in self.box.mails]
            self.shop.services.outbox.sweep()
            time.sleep(0.2)
        return found[-1]

    def mails_to(self, address: str) -> list[Any]:
        """All mails to somebody."""
        return [mail for mail in self.box.mails if address in str(mail["To"])]

    def webhook(self, payload: bytes, signature: str) -> int:
        """What Stripe sends comes to the app itself."""
        return requests.post(
            f"{self.app.url}/webhook/stripe",
            data=payload,
            headers={"Stripe-Signature": signature, "Content-Type": "application/json"},
            timeout=20,
        ).status_code


@pytest.fixture
def home(app_server: Callable[..., AppProcess], database: str) -> Iterator[Home]:
    """An empty utility with Stripe and mail, whose address is that of the app."""
    stripe, port = AutopayStripe(Links()), free_port()
    with running(stripe.server()) as server, mail_server() as box:
        site = str(PROJECT_FOLDER / "tests" / "ui" / "stripe_site")
        path = os.pathsep.join(filter(None, (site, os.environ.get("PYTHONPATH"))))
        own = {
            "DEMO": "off",
            "DATABASE_URL": database,
            "UTILITY_NAME": "Green Valley",
            "STRIPE_SECRET_KEY": STRIPE_KEY,
            "STRIPE_WEBHOOK_SECRET": SECRET,
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(box.port),
            "SMTP_SECURITY": "none",
            "CUSTOMER_EMAIL_FROM": "billing@valley.example",
            "MESSAGES_PER_MINUTE_EMAIL": "1000",
            "PUBLIC_URL": f"http://localhost:{port}",
        }
        more = {"STRIPE_OF_THE_TESTS": server.url, "PYTHONPATH": path}
        app = app_server(own | more | {"STREAMLIT_SERVER_PORT": str(port)})
        utility = make_utility(
            database, Path(app.data_dir), more_settings=own, addresses=Addresses(stripe=server.url)
        )
        made = Home(app, Shop(utility, stripe, server, database), stripe, box, database)
        yield made
        utility.services.close()


@pytest.fixture
def phone_without_script(browser: Browser) -> Iterator[Page]:
    """A phone's page on which no site runs a script."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        user_agent=PHONE_AGENT,
        java_script_enabled=False,
        locale="en-IN",
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    yield page
    context.close()


def reach(home: Home, serial: str, email: str) -> None:
    """A meter whose customer has an e-mail address."""
    home.shop.utility.add_meter(serial)
    with psycopg.connect(home.dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute(
            "update public.customers set email = %s where account_no = %s", [email, f"A-{serial}"]
        )


def test_from_the_mail_to_the_receipt_on_a_phone_without_script(
    home: Home, phone_without_script: Page, browser: Browser
) -> None:
    page = phone_without_script
    reach(home, "M1", "leela@post.example")
    reach(home, "M2", "ravi@post.example")
    bill = home.shop.utility.submit("M1", 1117).bill
    assert bill is not None
    mail = home.mail("Electricity bill")
    (pdf,) = mail.iter_attachments()
    assert pdf.get_content().startswith(b"%PDF")
    found = _LINK.search(body_of(mail))
    assert found
    it_is_opened_by_its_button(page, found[0])
    it_is_paid_at_stripe(home, page, bill.id)
    receipt_and_all_else_after_a_code(home, page)
    the_dunning_is_silent(home)
    pages_are_light_quick_and_good_for_all(home, page, browser)


def it_is_opened_by_its_button(page: Page, link: str) -> None:
    page.goto(link)
    expect(page.get_by_text("₹")).to_have_count(0)
    page.get_by_role("button", name="Open the account").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    expect(page.get_by_text("House M1")).to_have_count(0)


def it_is_paid_at_stripe(home: Home, page: Page, bill_id: str) -> None:
    page.route("https://checkout.stripe.com/**", lambda route: route.fulfill(body="Stripe"))
    pay, stripe = page.get_by_role("button", name="Pay ₹540.35"), home.stripe
    pay.click()
    page.wait_for_url("https://checkout.stripe.com/**")
    page.goto(stripe.sessions[page.url.rpartition("/")[2]]["cancel_url"])
    expect(page.get_by_text("You left the payment page, so nothing was paid.")).to_be_visible()
    pay.click()
    page.wait_for_url("https://checkout.stripe.com/**")
    session = stripe.sessions[page.url.rpartition("/")[2]]
    stripe.pay_session(session["id"])
    # The customer may be back before Stripe's event is here.
    page.goto(session["success_url"])
    expect(page.get_by_text("tells us of it in a moment")).to_be_visible()
    assert stripe.deliver(home.webhook) == [200]
    page.reload()
    expect(page.get_by_text("Thank you: this bill is paid.")).to_be_visible()
    assert bill_id in page.url
    thanks = home.mail("Payment received")
    (receipt,) = thanks.iter_attachments()
    assert receipt.get_filename().startswith("receipt-")
    page.get_by_role("link", name="Account", exact=True).click()
    expect(page.get_by_text("Nothing to pay", exact=True)).to_be_visible()
    expect(pay).to_have_count(0)


def receipt_and_all_else_after_a_code(home: Home, page: Page) -> None:
    page.get_by_role("link", name="See your use, receipts").click()
    page.get_by_role("button", name="Send me a code").click()
    found = _CODE.search(body_of(home.mail("Your code")))
    assert found
    page.get_by_label("Code").fill(found[1])
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("link", name="Payments").click()
    page.get_by_role("table").get_by_role("link").first.click()
    expect(page.get_by_text("Bill INV-000001")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Receipt as PDF").click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF")


def the_dunning_is_silent(home: Home) -> None:
    """Of two bills that are past due only the one that is not paid is told of."""
    assert home.shop.utility.submit("M2", 1117).bill is not None
    mailed = len(home.mails_to("leela@post.example"))
    later = datetime.now(UTC) + timedelta(days=30)
    home.shop.utility.now = later
    for job, work in (
        ("payment_reminders", payment_reminders.run),
        ("overdue_marking", overdue_marking.run),
    ):
        context, _ = claim(
            home.shop.services,
            job=job,
            scheduled_on=home.shop.utility.today,
            started_by="test",
            clock=lambda: later,
        )
        assert context is not None
        perform(context, work)
    home.mail("Payment overdue")
    assert len(home.mails_to("leela@post.example")) == mailed
    (paid,), (open_bill,) = (home.shop.utility.bills_of(serial) for serial in ("M1", "M2"))
    assert (paid.status, open_bill.status) == ("paid", "overdue")


def nothing_reaches_the_customer(home: Home) -> None:
    """Mail comes back, and texts do not arrive."""
    with psycopg.connect(home.dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute(
            "update public.customers set phone = '+919876543210' where email like 'leela@%'"
        )
        connection.execute(
            "insert into public.customer_channels as k (customer_id, bounced_email, bounced_at,"
            " unreached_phone, unreached_phone_at)"
            " select id, email, now(), phone, now() from public.customers"
            " where email like 'leela@%' on conflict (customer_id) do update"
            " set bounced_email = excluded.bounced_email, bounced_at = excluded.bounced_at,"
            " unreached_phone = excluded.unreached_phone,"
            " unreached_phone_at = excluded.unreached_phone_at"
        )


def pages_are_light_quick_and_good_for_all(home: Home, page: Page, browser: Browser) -> None:
    nothing_reaches_the_customer(home)
    cookies: list[Any] = [
        {"name": c["name"], "value": c["value"], "url": f"{home.app.url}/my"}
        for c in page.context.cookies()
    ]
    visitor = requests.Session()
    for cookie in cookies:
        visitor.cookies.set(cookie["name"], cookie["value"])
    style = len(visitor.get(f"{home.app.url}/my/my.css", timeout=20).content)
    for width, tag in ((390, "en"), (1440, "en"), (390, "ar"), (390, "hi")):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, bypass_csp=True, reduced_motion="reduce"
        )
        own = {"name": "my_language", "value": tag, "url": f"{home.app.url}/my"}
        context.add_cookies([*cookies, own])  # type: ignore[list-item]
        looked = context.new_page()
        for path in PAGES:
            looked.goto(f"{home.app.url}/my{path}")
            assert looked.locator("html").get_attribute("lang") == tag
            assert grave_findings(looked) == [], path
            assert looked.evaluate(_OVERFLOW) <= 0, path
            told = looked.locator("#unreached")
            assert told.count() == (1 if path in ("", "/contact") else 0), path
        context.close()
    for path in PAGES:
        answers = [visitor.get(f"{home.app.url}/my{path}", timeout=20) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        assert max(len(answer.content) for answer in answers) + style < LARGEST, path
        times = [answer.elapsed.total_seconds() for answer in answers]
        # The median: other tests keep the machine busy meanwhile.
        assert median(times) < 1, (path, times)
