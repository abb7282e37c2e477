"""The Notifications page, run without a browser over a real database."""

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import zxingcpp
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.system.notification_cards import STATUS
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.integrations.failures import FinalFailure
from services.messages.lookups import MessageLookups
from services.outbox.outbox import StepDone
from services.records.bills import Bill
from services.records.outbox import OutboxKind
from tests.integration.utility import Utility, make_utility
from tests.servers import NewDatabase

pytestmark = pytest.mark.postgres
LINK = "https://buy.stripe.com/test_1"
ENTRY = """
import streamlit as st
st.navigation(
    [st.Page("system/notifications.py", default=True), st.Page("bills/bill.py"), st.Page("home.py"),
     st.Page("bills/bills.py"), st.Page("payments/record_payment.py"),
     st.Page("supply/service_point.py"), st.Page("meters/meter.py"),
     st.Page("customers/customer.py"), st.Page("payments/payment.py"),
     st.Page("corrections/correct_bill.py")],
    position="hidden",
).run()
"""


@dataclass
class Refusing:
    """A step that is refused until it is repaired."""

    repaired: bool = False

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        """Refuse, or do it."""
        if not self.repaired:
            raise FinalFailure("Stripe does not let us in (401): check [STRIPE_SECRET_KEY].")
        return StepDone(f"{bill.reference} {kind} {len(facts)}", payment_url=LINK)


@dataclass
class Shown:
    """A utility, its refusing step, and the script that opens the page."""

    utility: Utility
    link: Refusing
    entry: Path
    dsn: str

    def page(self, role: Role = Role.ADMIN, **query: str) -> AppTest:
        """The page as somebody of a role sees it."""
        app = AppTest.from_file(str(self.entry), default_timeout=20)
        tokens: Any = self.utility.services.tokens
        app.session_state["token"] = tokens.issue("some.one", role, self.utility.now)
        for name, value in query.items():
            app.query_params[name] = value
        return app.run()


@pytest.fixture(scope="module")
def shown(fresh_database: NewDatabase, page_folder: Path) -> Iterator[Shown]:
    """One bill whose link was refused, and a message in every state there is."""
    dsn, link = fresh_database(), Refusing()
    utility = make_utility(dsn, page_folder, step_handlers={9: link})
    utility.add_meter("M1")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    with psycopg.connect(dsn) as connection:
        for status in STATUS:
            stored = "waiting" if status == "given_up" else status
            connection.execute(
                "insert into public.notifications (id, bill_id, customer_id, kind, channel, status,"
                " recipient, body, error, attempts) values (%s, %s, %s, 'bill_issued', %s, %s,"
                " 'webhook …6655', 'Your *bill*', 'Discord answered 500.', 2)",
                (str(uuid4()), bill.id, bill.customer_id, status, stored),
            )
    run_with(utility.services, Scheduler(utility.services))
    entry = page_folder / "main.py"
    entry.write_text(ENTRY)
    yield Shown(utility, link, entry, dsn)
    run_with(None)
    utility.services.close()


def words(app: AppTest) -> str:
    """All that stands on the page."""
    assert not app.exception
    return "\n".join(str(e.value) for e in (*app.markdown, *app.caption, *app.error, *app.warning))


def test_an_engineer_is_told_that_it_is_for_administrators(shown: Shown) -> None:
    assert "this page is for" in words(shown.page(Role.ENGINEER))


def test_each_message_shows_its_channel_state_and_error_as_it_is(shown: Shown) -> None:
    app = shown.page()
    said = words(app)
    assert "Discord answered 500" in said
    assert "2 attempts" in said
    assert "Your *bill*" in [text.value for text in app.text]


def test_a_status_in_the_address_narrows_the_list(shown: Shown) -> None:
    assert "1 message" in words(shown.page(status="May have arrived"))
    assert "No message fits." in words(shown.page(q="INV-999999"))


def test_what_was_kept_shows_what_would_be_sent_and_offers_no_retry(shown: Shown) -> None:
    app = shown.page(status="Not sent")
    assert "1 message" in words(app)
    assert "What would be sent" in [part.label for part in app.expander]
    assert [b.key for b in app.button if (b.key or "").startswith("retry-work-")] == [
        b.key for b in app.button if (b.key or "").startswith("retry-")
    ]
    assert "nobody gets it" in app.info[0].value


def test_refused_work_shows_its_reason_and_is_taken_up_again(shown: Shown) -> None:
    app = shown.page()
    assert "Needs a look" in [header.value for header in app.subheader]
    assert r"check \[STRIPE\_SECRET\_KEY\]" in words(app)
    shown.link.repaired = True
    work = next(b for b in app.button if (b.key or "").startswith("retry-work-"))
    work.click().run()
    assert "Needs a look" not in [header.value for header in app.subheader]
    assert shown.utility.services.outbox.sweep() == 1
    (outbox,) = shown.utility.services.database.outbox_of(shown.utility.bills_of("M1")[0].id)
    assert outbox.steps[9].status == "done"


def test_the_bill_then_shows_its_link_and_a_code_to_scan(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures: list[bytes] = []
    monkeypatch.setattr("streamlit.image", lambda png, **_: pictures.append(png))
    (bill,) = shown.utility.bills_of("M1")
    assert bill.payment_url == LINK
    app = shown.page(id=bill.id).switch_page("bills/bill.py").run()
    assert not app.exception
    (button,) = app.get("link_button")
    assert (button.proto.label, button.proto.url) == ("Pay online", LINK)
    (read,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(pictures[-1])))
    assert read.text == LINK


def test_a_bill_that_cannot_be_printed_is_shown_with_its_letters(shown: Shown) -> None:
    database = shown.utility.services.database
    (bill,) = shown.utility.bills_of("M1")
    assert "Not printed" not in [header.value for header in shown.page().subheader]
    database.note_unprinted_bill(bill_id=bill.id, reason="No font at hand has [these]: U+0378.")
    app = shown.page()
    assert "Not printed" in [header.value for header in app.subheader]
    assert r"has \[these\]\: U\+0378" in words(app)
    its_page = shown.page(id=bill.id).switch_page("bills/bill.py").run()
    assert "This bill is not printed." in words(its_page)
    shown.utility.services.bill_archive.pdf(bill.id)
    assert "Not printed" not in [header.value for header in shown.page().subheader]


def test_only_what_failed_once_is_said_to_be_tried_again(shown: Shown) -> None:
    bill = shown.utility.services.database.bills(text="M1").items[0]
    states = (("pending", ""), ("pending", "Stripe is down."), ("pending", "waits for step 9"))
    steps = {str(n): {"status": s, "detail": d} for n, (s, d) in enumerate(states, start=8)}
    with psycopg.connect(shown.dsn) as connection:
        connection.execute(
            "insert into public.outbox (id, bill_id, kind, steps, status)"
            " values (gen_random_uuid(), %s, 'balance_changed', %s, 'open')",
            (bill.id, json.dumps(steps)),
        )
        connection.execute("set billing.actor = 'test'")
        connection.execute("update public.outbox set status = 'open', finished_at = null")
        connection.commit()
        assert "-badge[Will be tried again]" in words(shown.page(status="Waiting"))
        connection.execute("update public.notifications set attempts = 0 where channel = 'waiting'")
    assert "-badge[Waiting]" in words(shown.page(status="Waiting"))
    said = words(shown.page(id=bill.id).switch_page("bills/bill.py").run())
    assert "Saved to the graph — :gray[:small[waiting]]" in said
    assert "Payment link created — :gray[:small[will be tried again: Stripe is down\\.]]" in said
    assert "Bill updated with the link — :gray[:small[waits for step 9]]" in said


def test_the_page_says_how_many_messages_wait_and_how_long(shown: Shown) -> None:
    database = shown.utility.services.database
    bill = database.bills(page_size=1).items[0]
    database.pause_channel(channel="discord", ms=60_000)
    for _ in range(3):
        database.begin_notification(
            notification_id=str(uuid4()),
            bill_id=bill.id,
            kind="payment_reminder",
            channel="discord",
            recipient="",
            body="",
            per_minute=30,
        )
    lookups = MessageLookups(database, {"discord": 1, "whatsapp": 9})
    services = replace(shown.utility.services, messages=lookups)
    run_with(services, Scheduler(services))
    page = shown.page()
    run_with(shown.utility.services, Scheduler(shown.utility.services))
    said = [info.value for info in page.info]
    assert (
        "Discord, shared channel: 3 messages in the queue. At 1 a minute the last leaves in "
        "3 minutes."
    ) in said


def test_what_customers_answered_is_listed_until_somebody_sees_to_it(shown: Shown) -> None:
    book = shown.utility.services.database.message_book
    for sender in ("leela@post.example", "*who*@else.example"):
        book.note_reply(
            actor="test",
            reply_id=str(uuid4()),
            channel="email",
            sender=sender,
            body="I have *moved*.",
            received_at=shown.utility.now,
        )
    app = shown.page()
    assert "Customers answered" in [header.value for header in app.subheader]
    assert "I have *moved*." in [text.value for text in app.text]
    assert "is no customer's address" in words(app)
    for _ in range(2):
        next(b for b in app.button if (b.key or "").startswith("reply-")).click().run()
    assert "Customers answered" not in [header.value for header in app.subheader]


def test_what_was_never_written_is_not_sent_again(shown: Shown) -> None:
    with psycopg.connect(shown.dsn) as connection:
        connection.execute(
            "update public.outbox set status = 'finished', finished_at = now()"
            " where status = 'open'"
        )
    app = shown.page(status="Sent")
    (button,) = [b for b in app.button if b.label == "Yes, send it"]
    button.click().run()
    assert "nothing can be sent again" in words(app)
