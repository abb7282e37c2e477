"""The pages Drafts and Month's books, run without a browser over a real database."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from scheduler import Scheduler
from services.bootstrap import run_with, running_scheduler
from services.identity.permissions import Role
from services.records.entries import NewPayment
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.servers import NewDatabase

pytestmark = pytest.mark.postgres
ENTRY = """
import streamlit as st
from pages.shared.session import error_boundary
page = st.navigation(
    [
        st.Page("drafts/drafts.py", default=DRAFTS),
        st.Page("month_end/books.py", default=not DRAFTS),
        st.Page("bills/bill.py"),
        st.Page("home.py"),
    ],
    position="hidden",
)
with error_boundary():
    page.run()
"""


@dataclass
class Shown:
    """A utility with approval, and the scripts that open its pages."""

    utility: Utility
    folder: Path

    def page(self, name: str, role: Role = Role.ADMIN, **query: str) -> AppTest:
        """A page as somebody of a role sees it."""
        app = AppTest.from_file(str(self.folder / f"{name}.py"), default_timeout=30)
        tokens: Any = self.utility.services.tokens
        app.session_state["token"] = tokens.issue("some.one", role, self.utility.now)
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    def add_draft(self, kwh: int = 1117) -> str:
        """A draft of a new meter; its id."""
        serial = f"M{uuid4().hex[:6]}"
        self.utility.add_meter(serial)
        bill = self.utility.submit(serial, kwh).bill
        assert bill is not None
        return bill.id

    def status(self, bill_id: str) -> str:
        """How a bill stands."""
        return self.utility.services.database.bill(bill_id).status


@pytest.fixture(scope="module")
def shown(fresh_database: NewDatabase, page_folder: Path) -> Iterator[Shown]:
    """Drafts are kept until an administrator issues them."""
    approval = {"BILL_APPROVAL": "on"}
    utility = make_utility(fresh_database(), page_folder, more_settings=approval)
    run_with(utility.services, Scheduler(utility.services))
    for name in ("drafts", "books"):
        entry = ENTRY.replace("not DRAFTS", str(name != "drafts"))
        (page_folder / f"{name}.py").write_text(entry.replace("DRAFTS", str(name == "drafts")))
    yield Shown(utility, page_folder)
    assert utility.services.database.check_ledger().problems == ()
    run_with(None)
    utility.services.close()


@pytest.fixture(autouse=True)
def no_drafts_left(shown: Shown) -> Iterator[None]:
    """Each test begins without drafts."""
    yield
    drafts = shown.utility.services.database.bills(status="draft", page_size=100).items
    shown.utility.services.bill_approval.send_back(
        bill_ids=[draft.id for draft in drafts], reason="test is over", principal=ADMIN
    )


def words(app: AppTest) -> str:
    """All that stands on the page."""
    assert not app.exception
    kinds = (app.title, app.markdown, app.caption, app.error, app.warning, app.success, app.info)
    return "\n".join(str(e.value) for kind in kinds for e in kind).replace("\\", "")


def press_issue(app: AppTest) -> AppTest:
    return app.button(key="issue-together").click().run()


def issue(app: AppTest) -> AppTest:
    """Press the button, let the scheduler do its work, and look again."""
    press_issue(app)
    assert not app.exception
    running_scheduler().issue_drafts()
    return app.run()


@pytest.mark.parametrize("name", ["drafts", "books"])
def test_an_engineer_is_told_that_it_is_for_administrators(shown: Shown, name: str) -> None:
    app = shown.page(name, Role.ENGINEER)
    assert "this page is for" in words(app)
    assert not app.title


def test_without_drafts_it_says_so(shown: Shown) -> None:
    assert "No draft waits to be issued." in words(shown.page("drafts"))


def test_each_draft_says_what_is_unusual_and_all_are_issued_together(shown: Shown) -> None:
    ids = [shown.add_draft(), shown.add_draft()]
    app = shown.page("drafts")
    said = words(app)
    assert "Every bill waits here" in said
    assert "2 drafts in INR" in said
    assert "₹1,080.70" in said
    assert "The first bill of this meter." in said
    assert "2 bills are issued: INV-" in words(issue(app))
    assert {shown.status(i) for i in ids} == {"issued"}


def test_one_that_is_left_out_stays_a_draft(shown: Shown) -> None:
    ids = [shown.add_draft(), shown.add_draft()]
    app = shown.page("drafts")
    app.checkbox(key=f"draft-All that fit-{ids[0]}").uncheck().run()
    assert "1 draft in INR" in words(app)
    issue(app)
    assert [shown.status(i) for i in ids] == ["draft", "issued"]


def test_who_may_issue_none_is_not_asked_which(shown: Shown) -> None:
    shown.add_draft()
    app = shown.page("drafts", Role.CLERK)
    assert any("draft" in caption.value for caption in app.caption)
    assert not app.segmented_control
    assert not app.checkbox
    assert shown.page("drafts", Role.MANAGER).segmented_control


def test_only_one_that_is_ticked_is_issued(shown: Shown) -> None:
    ids = [shown.add_draft(), shown.add_draft()]
    app = shown.page("drafts")
    app.segmented_control(key="drafts-mode").set_value("Only those ticked").run()
    assert app.get("popover")[0].proto.popover.disabled
    app.checkbox(key=f"draft-Only those ticked-{ids[1]}").check().run()
    issue(app)
    assert [shown.status(i) for i in ids] == ["draft", "issued"]


def test_a_draft_that_came_since_the_totals_were_shown_is_not_issued_unseen(
    shown: Shown,
) -> None:
    first = shown.add_draft()
    app = shown.page("drafts")
    second = shown.add_draft()
    said = words(press_issue(app))
    assert "Nothing was issued" in said
    assert "2 drafts in INR" in said
    assert {shown.status(first), shown.status(second)} == {"draft"}


def test_a_filter_in_the_address_narrows_what_is_issued(shown: Shown) -> None:
    shown.add_draft()
    assert "No draft fits." in words(shown.page("drafts", q="nobody"))
    assert "1 draft in INR" in words(shown.page("drafts", outliers="true"))


def test_a_draft_is_sent_back_with_a_reason(shown: Shown) -> None:
    bill_id = shown.add_draft()
    app = shown.page("drafts")
    (send,) = [b for b in app.button if b.label == "Send it back"]
    assert "Say why" in words(send.click().run())
    (reason,) = [t for t in app.text_input if t.label == "Reason"]
    reason.set_value("wrong tariff")
    (send,) = [b for b in app.button if b.label == "Send it back"]
    assert "No draft waits" in words(send.click().run())
    assert shown.utility.services.database.bill(bill_id).void_reason == "wrong tariff"


def test_the_books_are_shown_checked_and_closed(shown: Shown) -> None:
    bill_id = shown.add_draft()
    waiting = shown.add_draft()
    utility = shown.utility
    here = datetime.now(utility.services.settings.timezone)
    month = (here.replace(day=1) - timedelta(days=1)).date().replace(day=20)
    at = datetime(month.year, month.month, month.day, 6, tzinfo=UTC)
    bill = utility.services.bill_approval.issue(bill_id=bill_id, principal=ADMIN, now=at)
    app = shown.page("books")
    said = words(app)
    assert "Customers' accounts, INR" in said
    assert "| Bills issued | 1 | ₹540.35 |" in said
    assert "| Not due yet | ₹540.35 |" in said
    assert "This month is open" in said
    (check,) = [b for b in app.button if b.label == "Check the ledger"]
    assert "The ledger adds up" in words(check.click().run())
    app.button(key="close-month").click().run()
    said = words(app)
    assert "Closed by some.one" in said
    assert "close-month" not in [b.key for b in app.button]
    # A payment for the closed month is dated in the next one.
    row = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": 54_035, "currency": "INR"}
    row |= {"method": "cash", "received_at": at, "received_on": month}
    utility.services.database.record_payments(
        actor=ADMIN.user, payments=[NewPayment.model_validate(row)]
    )
    assert words(shown.page("books")) == words(app)
    this_month = datetime.now(utility.services.settings.timezone)
    now = words(shown.page("books", of=f"{this_month:%b %Y}"))
    assert "| Cash, INR | ₹540.35 | ₹0.00 |" in now
    assert "This month is not over" in now
    assert shown.status(waiting) == "draft"
