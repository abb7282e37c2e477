"""Letters: what reached nobody is printed by who may; and an address that is trusted again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from pages import registry
from scheduler import Scheduler
from services.bootstrap import run_with
from services.bootstrap_providers import Addresses
from services.identity.auth import NotAllowed
from services.identity.permissions import Role
from services.records.bills import Bill
from tests.integration.utility import ENGINEER, Utility, make_utility
from tests.ui.page_runs import press, signed_in, words

pytestmark = pytest.mark.postgres
SENDERS = (Role.CASHIER, Role.CLERK, Role.MANAGER, Role.ADMIN)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, addresses=Addresses())
    run_with(made.services, Scheduler(made.services))
    yield made
    run_with(None)
    made.services.close()


@pytest.fixture
def bill(utility: Utility) -> Bill:
    """A bill of whose message nobody heard: the demo sends nothing."""
    utility.add_meter("M1")
    bill = utility.submit("M1", 1117).bill
    assert isinstance(bill, Bill)
    return bill


def downloads(app: AppTest) -> list[str]:
    """What the download buttons say."""
    found: list[Any] = list(app.get("download_button"))
    return [one.proto.label for one in found]


@pytest.mark.usefixtures("bill")
@pytest.mark.parametrize("role", Role)
def test_who_may_send_messages_prints_letters(utility: Utility, role: Role) -> None:
    app = signed_in(utility.services, role, registry.LETTERS.script)
    assert not app.exception
    said = words(app)
    assert ("House M1" in said) == (role is not Role.ENGINEER)
    offered = [button.label for button in app.button]
    assert ("Print 1 letter" in offered) == (role in SENDERS)


def test_a_batch_is_printed_and_stands_among_the_messages(utility: Utility, bill: Bill) -> None:
    app = signed_in(utility.services, Role.CLERK, registry.LETTERS.script)
    assert "1 Hill Road" in words(app)
    app = press(app, "Print 1 letter")
    said = words(app)
    assert "1 letter printed: download the PDF below" in said
    assert "No message waits for a letter." in said
    assert downloads(app) == ["PDF"]
    app = signed_in(
        utility.services, Role.CLERK, registry.CUSTOMER.script, id=bill.customer_id, view="Messages"
    )
    said = words(app)
    assert "Letter · " in said
    assert "Letter as PDF" in downloads(app)


def bounced(utility: Utility, dsn: str, bill: Bill) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute("update public.customers set email = 'leela@post.example'")
    utility.services.database.message_book.note_address_gone(
        actor="test", customer_id=bill.customer_id, email="leela@post.example"
    )


def test_an_address_that_mail_came_back_from_is_trusted_again(
    utility: Utility, database: str, bill: Bill
) -> None:
    bounced(utility, database, bill)
    app = signed_in(utility.services, Role.AUDITOR, registry.CUSTOMER.script, id=bill.customer_id)
    assert "post.example · mail has come back since" in words(app)
    details = {"id": bill.customer_id, "view": "Details"}
    app = signed_in(utility.services, Role.AUDITOR, registry.CUSTOMER.script, **details)
    assert "No mail goes to leela@" in words(app)
    assert "Trust this address again" not in [button.label for button in app.button]
    app = signed_in(utility.services, Role.CLERK, registry.CUSTOMER.script, **details)
    app = press(app, "Trust this address again")
    assert "Mail goes to the address again." in words(app)
    assert "No mail goes to leela@" not in words(app)
    contact = utility.services.database.customer_contact(bill.customer_id)
    assert contact.email_bounced_at is None
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select actor from public.audit_log where table_name = 'customer_channels'"
            " order by id desc limit 1"
        ).fetchall()
    assert rows == [("some.clerk",)]
    app = signed_in(
        utility.services, Role.CLERK, registry.CUSTOMER.script, id=bill.customer_id, view="Timeline"
    )
    assert "the address gets mail again" in words(app)


def test_who_may_not_change_customers_cannot_trust_an_address(
    utility: Utility, database: str, bill: Bill
) -> None:
    bounced(utility, database, bill)
    with pytest.raises(NotAllowed):
        utility.services.messages.trust_email(customer_id=bill.customer_id, principal=ENGINEER)
    contact = utility.services.database.customer_contact(bill.customer_id)
    assert contact.email_bounced_at is not None


def test_a_number_that_stopped_texts_is_shown(utility: Utility, database: str, bill: Bill) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute("update public.customers set phone = '+919876543210'")
    utility.services.database.message_book.note_reply(
        actor="test",
        reply_id="0d3f5c1e-5a9e-4e43-8a7f-2f3f8f8f1c11",
        channel="sms",
        sender="+919876543210",
        body="STOP",
        received_at=utility.now,
        wants_texts=False,
    )
    app = signed_in(
        utility.services, Role.CLERK, registry.CUSTOMER.script, id=bill.customer_id, view="Details"
    )
    assert "No texts go to +919876543210" in words(app)
    app = signed_in(
        utility.services, Role.CLERK, registry.CUSTOMER.script, id=bill.customer_id, view="Timeline"
    )
    said = words(app)
    assert "+919876543210 · no texts since" in said
    assert "No texts go to +919876543210: a STOP came from it" in said


def test_a_number_at_which_no_text_arrives_is_shown(
    utility: Utility, database: str, bill: Bill
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute("update public.customers set phone = '+919876543210'")
        connection.execute(
            "insert into public.customer_channels"
            " (customer_id, unreached_phone, unreached_phone_at)"
            " select id, phone, now() from public.customers"
        )
    shown = {"id": bill.customer_id, "view": "Details"}
    said = words(signed_in(utility.services, Role.CLERK, registry.CUSTOMER.script, **shown))
    assert "+919876543210 · texts have not arrived since" in said
    assert "Ask the customer for another one." in said
    shown["view"] = "Timeline"
    said = words(signed_in(utility.services, Role.CLERK, registry.CUSTOMER.script, **shown))
    assert "texts do not arrive at the number" in said
