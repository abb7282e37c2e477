"""A customer sets autopay up, is charged, pays, confirms and ends it, in a browser without scripts.

And pays a bill from their page, from which Stripe sends them back.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import create_app
from tests.integration.at_stripe.autopay_server import (
    AUTHENTICATION,
    OK,
    PROCESSING,
    AutopayStripe,
)
from tests.integration.at_stripe.autopay_town import AutopayTown, days, due, open_town
from tests.integration.customer_page.visitor import LINK, Town, Visitor
from tests.integration.providers.conftest import links
from tests.integration.providers.published import Links
from tests.integration.providers.stand_in import running
from tests.integration.utility import ADMIN
from tests.mail_server import Mailbox, body_of, mail_server

__all__ = ["links"]
_AT_STRIPE = re.compile(r'href="(https://(?:checkout|hooks)\.stripe\.com/[^"]+)"')


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture
def town(
    links: Links,
    box: Mailbox,
    database: str,
    tmp_path: Path,
) -> Iterator[AutopayTown]:
    stripe = AutopayStripe(links)
    with running(stripe.server()) as server:
        made = open_town(database, tmp_path, stripe, server, box)
        yield made
        assert made.database.check_ledger().problems == ()
        assert server.problems == []
        made.utility.services.close()


def page_of(town: AutopayTown, serial: str) -> tuple[Visitor, str]:
    """A customer who showed a code, and their id; their first bill came with the link."""
    assert town.box is not None
    customer = town.customer(serial)
    town.bill(serial)
    return Town(town.utility, town.box, town.dsn).confirmed(serial), customer


def next_month(town: AutopayTown, serial: str) -> None:
    """A month later there is another bill; the last one is paid."""
    town.utility.now += days(31)
    made = town.utility.submit(serial, 1230).bill
    assert made is not None


def leads_to(visitor: Visitor) -> str:
    """Where at Stripe a page leads, by its link and by itself."""
    assert visitor.page is not None
    found = _AT_STRIPE.search(visitor.page.data.decode())
    assert found, visitor.text
    assert visitor.page.headers["Refresh"] == f"0; url={found[1]}"
    return found[1]


def test_from_signing_up_to_the_end(town: AutopayTown) -> None:
    visitor, customer = page_of(town, "M1")
    (bill,) = town.utility.bills_of("M1")
    shown = visitor.get("/my/autopay")
    assert "I allow Green Valley to charge" in shown
    form = visitor.form_id
    visitor.post("/my/autopay", id=form, limit="")
    assert visitor.status == 422
    assert "Tick that you agree" in visitor.text
    form = visitor.form_id
    visitor.post("/my/autopay", id=form, limit="2,000", agreed="on")
    session = leads_to(visitor).rpartition("/")[2]
    # The way back without having saved anything.
    assert "nothing was saved" in visitor.get("/my/autopay?from=cancelled")
    town.stripe.save_card(session)
    shown = visitor.get("/my/autopay?from=saved")
    assert "Visa …4242" in shown
    assert "Never more than ₹2,000.00 at once" in shown
    assert "Autopay pays it on" in visitor.get(f"/my/bills/{bill.id}")
    mandate = town.state(customer).mandate
    assert mandate is not None
    assert mandate.limit_minor == 200_000
    assert "never charges more than ₹2,000.00" in mandate.consent
    _charged_and_ended(town, visitor, mandate.id)


def _charged_and_ended(town: AutopayTown, visitor: Visitor, mandate_id: str) -> None:
    """The rest of the story: the due date, the receipt, the end."""
    (bill,) = town.utility.bills_of("M1")
    town.day(due(bill) - days(7))
    _messages_leave(town)
    town.day(due(bill))
    _messages_leave(town)
    assert [i["amount"] for i in town.stripe.charged] == [bill.total_minor]
    fresh = browser_again(town, visitor)
    assert "Paid" in fresh.get(f"/my/bills/{bill.id}")
    assert "was charged to Visa …4242" in fresh.get("/my/autopay")
    assert "₹540.35" in fresh.get("/my/payments")
    fresh.get("/my/autopay")
    fresh.post("/my/autopay/end", mandate=mandate_id)
    assert "Set autopay up" in fresh.text
    assert [m["customer"] for m in town.stripe.methods.values()] == [None]
    _messages_leave(town)
    assert town.box is not None
    said = "\n".join(body_of(mail) for mail in town.box.mails)
    assert "₹540.35 of your electricity bill INV-000001 will be charged to Visa …4242" in said
    assert "we have received your payment of ₹540.35" in said
    assert "Autopay with Visa …4242 has ended" in said


def _messages_leave(town: AutopayTown) -> None:
    """What is owed is sent, of each bill one after another."""
    for _ in range(4):
        town.utility.services.outbox.sweep(limit=50)


def browser_again(town: AutopayTown, visitor: Visitor) -> Visitor:
    """The same browser at the time of now: visits end after a month, not before."""
    app = create_app(town.utility.services, clock=lambda: town.utility.now)
    client = app.test_client()
    for name in ("my_visit", "my_device"):
        cookie = visitor.client.get_cookie(name, path="/my")
        if cookie is not None:
            client.set_cookie(name, cookie.value, path="/my")
    return Visitor(client)


def test_a_bank_s_question_is_answered_from_the_page(town: AutopayTown) -> None:
    visitor, customer = page_of(town, "M1")
    (bill,) = town.utility.bills_of("M1")
    town.sign_up(customer, card=AUTHENTICATION)
    town.day(due(bill) - days(7))
    town.day(due(bill))
    town.deliver()
    fresh = browser_again(town, visitor)
    assert "Your bank wants you to confirm" in fresh.get("/my")
    assert "there is nothing to do" not in fresh.text
    assert "Your bank wants you to confirm" in fresh.get(f"/my/bills/{bill.id}")
    assert "there is nothing to do" not in fresh.text
    fresh.get("/my")
    attempt = town.charge(customer).confirm_id
    fresh.post("/my/autopay/confirm", attempt=str(attempt))
    (intent,) = town.stripe.intents
    assert leads_to(fresh).endswith(intent)
    town.stripe.confirm_at_bank(intent)
    assert "whether your bank agreed" in fresh.get("/my/autopay?from=confirmed")
    town.deliver()
    assert "Paid" in fresh.get(f"/my/bills/{bill.id}")


def test_a_debit_under_way_is_said_to_be_and_no_day_is_promised(town: AutopayTown) -> None:
    visitor, customer = page_of(town, "M1")
    (bill,) = town.utility.bills_of("M1")
    town.sign_up(customer, card=PROCESSING)
    town.day(due(bill) - days(7))
    town.day(due(bill))
    town.deliver()
    fresh = browser_again(town, visitor)
    for path in ("/my", f"/my/bills/{bill.id}", "/my/autopay"):
        assert "has been under way since" in fresh.get(path), path
        assert "the money is expected by" in fresh.text
        assert "Autopay pays it on" not in fresh.text
    town.go_to(due(bill) + days(10))
    fresh = browser_again(town, visitor)
    assert "longer than usual" in fresh.get(f"/my/bills/{bill.id}")
    town.stripe.bank_ends(town.stripe.asked[0]["id"], code="account_closed")
    town.deliver()
    # What was tried, not ₹0.00.
    assert "₹540.35 could not be charged to Visa …4242" in fresh.get("/my/autopay")


def test_a_bill_is_paid_from_the_page_and_people_come_back(town: AutopayTown) -> None:
    visitor, _ = page_of(town, "M1")
    (bill,) = town.utility.bills_of("M1")
    visitor.get(f"/my/bills/{bill.id}")
    visitor.post(f"/my/bills/{bill.id}/pay")
    session = town.stripe.sessions[leads_to(visitor).rpartition("/")[2]]
    back = f"https://bills.example/my/bills/{bill.id}"
    assert session["success_url"] == f"{back}?from=paid"
    assert session["cancel_url"] == f"{back}?from=cancelled"
    assert "so nothing was paid" in visitor.get(f"/my/bills/{bill.id}?from=cancelled")
    # The webhook may come later than the customer.
    assert "tells us of it in a moment" in visitor.get(f"/my/bills/{bill.id}?from=paid")
    town.stripe.pay_session(session["id"])
    town.deliver()
    assert "this bill is paid" in visitor.get(f"/my/bills/{bill.id}?from=paid")
    visitor.post(f"/my/bills/{bill.id}/pay", token=visitor.token)
    assert "nothing to pay" in visitor.text


def test_nobody_pays_or_ends_what_is_another_s(town: AutopayTown) -> None:
    visitor, _ = page_of(town, "M1")
    other = town.customer("M2")
    bill = town.bill("M2")
    mandate = town.sign_up(other, card=OK)
    visitor.get("/my/autopay")
    token = visitor.token
    assert visitor.post(f"/my/bills/{bill.id}/pay", token=token)
    assert visitor.status == 404
    visitor.post("/my/autopay/end", token=token, mandate=mandate.id)
    assert visitor.status == 404
    visitor.post("/my/autopay/confirm", token=token, attempt=mandate.id)
    assert visitor.status == 404
    still = town.state(other).mandate
    assert still is not None
    assert still.status == "active"
    # A form of another site.
    visitor.post("/my/autopay/end", token="0" * 64, mandate=mandate.id)
    assert visitor.status == 403


def test_a_link_alone_shows_no_card_and_ends_nothing(town: AutopayTown) -> None:
    _, customer = page_of(town, "M1")
    mandate = town.sign_up(customer, card=OK)
    assert town.box is not None
    office = Town(town.utility, town.box, town.dsn)
    # The link of the bill's mail, in the hands of whoever was sent it on.
    (mail,) = [body_of(m) for m in town.box.mails if LINK.search(body_of(m))][:1]
    found = LINK.search(mail)
    assert found is not None
    stranger = office.visitor("198.51.100.7")
    stranger.open(found[1])
    token = stranger.token
    for path in ("/my", "/my/autopay", "/my/autopay?from=saved", "/my/autopay?from=confirmed"):
        assert "4242" not in stranger.get(path)
        assert "I allow Green Valley" not in stranger.text
    for path in ("/my/autopay/end", "/my/autopay/resume", "/my/autopay"):
        stranger.post(path, token=token, mandate=mandate.id, agreed="on", id=mandate.id)
    after = town.state(customer).mandate
    assert after is not None
    assert (after.status, after.session_id) == ("active", mandate.session_id)
    assert len(town.stripe.sessions) == 1


def test_what_the_bank_still_checks_can_be_ended(town: AutopayTown) -> None:
    visitor, customer = page_of(town, "M1")
    visitor.get("/my/autopay")
    visitor.post("/my/autopay", id=visitor.form_id, agreed="on")
    session = leads_to(visitor).rpartition("/")[2]
    town.sql("update public.autopay_mandates set status = 'confirming'")
    visitor.get("/my/autopay")
    mandate = town.state(customer).opened
    assert mandate is not None
    assert f'name="mandate" value="{mandate.id}"' in visitor.text
    visitor.post("/my/autopay/end", mandate=mandate.id)
    assert "Set autopay up" in visitor.text
    assert town.stripe.sessions[session]["status"] == "expired"


def test_the_office_ends_it_with_a_reason(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.bill("M1")
    mandate = town.sign_up(customer)
    office = town.utility.services.autopay.office
    office.end(
        mandate_id=mandate.id, customer_id=customer, reason="Asked by phone", principal=ADMIN
    )
    found = office.of_customer(customer_id="A-M1", principal=ADMIN).mandate
    assert found is not None
    assert (found.ended_by, found.ended_because) == (ADMIN.user, "Asked by phone")
    changes = town.sql(
        "select actor from public.audit_log where table_name = 'autopay_mandates' and row_id = %s",
        mandate.id,
    )
    assert {"customer:test", "system:autopay", ADMIN.user} <= {row[0] for row in changes}
