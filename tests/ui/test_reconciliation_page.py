"""The Reconciliation page and that of Stripe's events, without a browser.

Over a real database and the tests' Stripe.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.languages.language import Language
from tests.integration.at_stripe.shop import Shop, open_shop
from tests.integration.at_stripe.stripe_server import Stripe
from tests.integration.providers.published import Links
from tests.integration.providers.stand_in import running
from tests.servers import NewDatabase
from tests.ui.untranslated import english_on

pytestmark = pytest.mark.postgres
ARABIC = Language.of("ar")
ENTRY = """
import streamlit as st
pages = ("reconciliation/reconciliation.py", "reconciliation/stripe_events.py",
         "payments/payment.py", "home.py")
st.navigation([st.Page(page, default=page == "{first}") for page in pages], position="hidden").run()
"""


@dataclass
class Shown:
    """A shop and the script that opens the page."""

    shop: Shop
    entry: Path

    def page(self, role: Role = Role.ADMIN, *, of: str = "reconciliation") -> AppTest:
        """The page as somebody of a role sees it."""
        self.entry.write_text(ENTRY.replace("{first}", f"reconciliation/{of}.py"))
        app = AppTest.from_file(str(self.entry), default_timeout=20)
        tokens: Any = self.shop.services.tokens
        app.session_state["token"] = tokens.issue("some.one", role, self.shop.utility.now)
        return app.run()


@pytest.fixture(scope="module")
def shown(fresh_database: NewDatabase, page_folder: Path) -> Iterator[Shown]:
    """A shop with a payment that both know, and one that only Stripe has."""
    stripe = Stripe(Links())
    with running(stripe.server()) as listening:
        shop = open_shop(fresh_database(), page_folder, stripe, listening)
        shop.paid("M1")
        bill = shop.bill("M2")
        stripe.pay(bill.payment_url or "")
        stripe.lose()
        run_with(shop.services, Scheduler(shop.services))
        yield Shown(shop, page_folder / "main.py")
        run_with(None)
        shop.assert_sound()
        shop.services.close()


def words(app: AppTest) -> str:
    """All that stands on the page."""
    assert not app.exception
    shown = (*app.markdown, *app.caption, *app.error, *app.success, *app.info, *app.subheader)
    return "\n".join(str(e.value) for e in shown).replace("\\", "")


def press(app: AppTest, label: str) -> AppTest:
    return next(b for b in app.button if b.label == label).click().run()


def test_an_engineer_is_told_that_it_is_for_administrators(shown: Shown) -> None:
    assert "this page is for" in words(shown.page(Role.ENGINEER))


def test_while_stripe_is_away_it_says_so_and_the_ledger_is_there(shown: Shown) -> None:
    with shown.shop.server.away():
        app = press(shown.page(), "Compare now")
    said = words(app)
    assert "Stripe cannot be reached." in said
    assert "The ledger adds up" in said


def test_differences_come_first_and_are_taken_up(shown: Shown) -> None:
    app = press(shown.page(), "Compare now")
    said = words(app)
    assert "1 difference" in said
    assert "INV-000002" in said
    assert "Only at Stripe" in said
    assert [m.value for m in app.metric] == ["₹540.35"]
    app = press(app, "Bring in what only Stripe has")
    assert "No difference" in words(app)
    assert [m.label for m in app.metric] == ["2 payments the same"]
    (bill,) = shown.shop.utility.bills_of("M2")
    assert bill.status == "paid"


def test_reading_the_events_is_kept_among_the_last_looks(shown: Shown) -> None:
    app = press(shown.page(), "Read Stripe's events")
    assert "**Events read, " in words(app)


def test_dates_too_far_apart_are_refused_in_words(shown: Shown) -> None:
    app = shown.page()
    today = shown.shop.utility.today
    app.date_input[0].set_value((today.replace(year=today.year - 1), today))
    assert "92 days at most" in words(press(app, "Compare now"))


def test_differences_and_events_are_said_in_arabic(shown: Shown) -> None:
    for of in ("reconciliation", "stripe_events"):
        app = shown.page(of=of)
        app.session_state["spoken-language"] = ARABIC
        app.run()
        assert not app.exception
        assert english_on(app) == []


def test_without_stripe_only_the_ledger_is_shown(shown: Shown) -> None:
    run_with(replace(shown.shop.services, reconciliation=None))
    try:
        said = words(shown.page())
    finally:
        run_with(shown.shop.services, Scheduler(shown.shop.services))
    assert "Stripe is not configured" in said
    assert "The ledger adds up" in said


def test_each_event_is_seen_with_what_became_of_it(shown: Shown) -> None:
    event = {"id": "evt_odd", "object": "event", "livemode": False, "created": 1_760_000_000}
    event |= {"type": "checkout.session.completed", "data": {"object": {"id": "cs_odd"}}}
    received = shown.shop.services.payment_received
    assert received is not None
    received.apply(event=event, arrived_by="webhook", now=shown.shop.utility.now)
    said = words(shown.page(of="stripe_events"))
    assert "**checkout.session.completed**" in said
    assert "Counted." in said
    assert "came by the webhook" in said
    app = shown.page(of="stripe_events")
    app.selectbox[0].select("Kept").run()
    said = words(app)
    assert "1 event" in said
    assert "It cannot be read" in said
    assert "evt_odd" in said
    app.text_input[0].set_value("no such thing").run()
    assert "No event fits." in words(app)


def test_what_stripe_told_is_for_administrators(shown: Shown) -> None:
    said = words(shown.page(Role.ENGINEER, of="stripe_events"))
    assert "this page is for" in said
    assert "checkout" not in said
