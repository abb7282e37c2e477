"""Whom messages do not reach learns it on their page, and mends it there; others learn nothing."""

import re
from typing import Any

import pytest

from services.customer_page.visits import CodeWanted
from services.languages.catalogues import OFFERED
from tests.integration.customer_page.test_languages import english_left
from tests.integration.customer_page.visitor import Town, Visitor

ADDRESS, PHONE = "m1@post.example", "+919876543210"
HEADING = "Our messages do not reach you"


def bounced(town: Town, customer: str, email: str = ADDRESS) -> None:
    """A code came back from the customer's address."""
    town.utility.services.database.message_book.note_address_gone(
        actor="system:deliveries", customer_id=customer, email=email
    )


def says(town: Town, text: str, *, wants: bool | None, phone: str = PHONE, number: int = 1) -> None:
    """A text from a number."""
    town.utility.services.database.message_book.note_reply(
        actor="system:texts",
        reply_id=f"00000000-0000-4000-8000-00000000000{number}",
        channel="sms",
        sender=phone,
        body=text,
        received_at=town.utility.now,
        wants_texts=wants,
    )


def phone_of(town: Town, serial: str, phone: str = PHONE) -> None:
    town.sql("update public.customers set phone = %s where account_no = %s", phone, f"A-{serial}")


def by_link(town: Town, serial: str) -> Visitor:
    visitor = town.visitor()
    visitor.open(town.link(serial))
    return visitor


def corrected(visitor: Visitor, email: str, **more: Any) -> str:
    visitor.get("/my/contact")
    seen = dict(re.findall(r'name="(seen_\w+)" value="([^"]*)"', visitor.text))
    return visitor.post("/my/contact", email=email, language="en", **{**seen, **more})


def test_who_is_not_reached_by_mail_is_led_to_the_form_and_corrects_it(town: Town) -> None:
    customer = town.home("M1")
    town.bill("M1")
    visitor = town.confirmed("M1")
    assert HEADING not in visitor.get("/my")
    bounced(town, customer)
    page = visitor.get("/my")
    assert HEADING in page
    assert re.search(r"Mail to \S*m1@post\.example\S* has come back since", page)
    assert 'href="/my/contact"' in page
    assert 'aria-describedby="unreached"' in visitor.get("/my/contact")
    corrected(visitor, "new@post.example")
    assert "Your contact details are saved." in visitor.text
    assert HEADING not in visitor.get("/my")
    # The mark of the old address holds nothing back from the new one.
    contact = town.utility.services.database.customer_contact(customer)
    assert (contact.email, contact.email_bounced_at) == ("new@post.example", None)
    stranger = town.visitor("127.0.0.9")
    stranger.get("/my/sign-in")
    stranger.post("/my/sign-in", account="A-M1")
    assert "is the code for your page" in town.mail_to("new@post.example")
    # Who goes back to the old address is not reached again.
    corrected(visitor, ADDRESS)
    assert HEADING in visitor.get("/my")


def test_who_has_a_link_alone_learns_that_but_neither_address_nor_number(town: Town) -> None:
    customer = town.home("M1")
    phone_of(town, "M1")
    town.bill("M1")
    bounced(town, customer)
    says(town, "STOP", wants=False)
    visitor = by_link(town, "M1")
    page = visitor.get("/my")
    assert HEADING in page
    assert "Mail to your address has come back since" in page
    assert "No texts have gone to your number since" in page
    for path in ("/my", "/my/contact", "/my/bills", "/my/confirm"):
        shown = visitor.get(path)
        assert "m1@" not in shown
        assert "post.example" not in shown
        assert PHONE not in shown
    visitor.get("/my")
    assert "A code is needed" in visitor.post("/my/contact/trust")
    contact = town.utility.services.database.customer_contact(customer)
    assert contact.email_bounced_at is not None
    cookie = visitor.client.get_cookie("my_visit", path="/my")
    assert cookie is not None
    pages = town.utility.services.customer_page
    visit = pages.visits.find(cookie.value, town.utility.now)
    assert visit is not None
    with pytest.raises(CodeWanted):
        pages.actions.trust_email(visit, now=town.utility.now)
    found = pages.lookups.unreached(visit)
    assert (found.email, found.phone) == ("", "")


def test_whom_no_code_can_reach_learns_why_and_what_to_do(town: Town) -> None:
    customer = town.home("M1")
    town.bill("M1")
    bounced(town, customer)
    visitor = by_link(town, "M1")
    page = visitor.get("/my/contact")
    assert visitor.status == 409
    assert "do not arrive, so no code can go there. Call or visit us" in page
    # One who came by number and code learns nothing, as ever.
    stranger = town.visitor()
    stranger.get("/my/sign-in")
    known = stranger.post("/my/sign-in", account="A-M1")
    unknown = stranger.post("/my/sign-in", account="A-M9")
    strip = re.compile(r'value="[^"]*"')
    assert strip.sub("", known) == strip.sub("", unknown)


def test_an_address_that_works_again_gets_mail_again_and_old_reports_mark_it_no_more(
    town: Town,
) -> None:
    customer = town.home("M1")
    town.bill("M1")
    visitor = town.confirmed("M1")
    bounced(town, customer)
    page = visitor.get("/my/contact")
    assert "The address works: send mail there again" in page
    before = town.utility.services.database.customer_contact(customer).email_bounced_at
    visitor.post("/my/contact/trust", token="strange")
    assert visitor.status == 403
    visitor.get("/my/contact")
    assert "From now on mail goes to your address again." in visitor.post("/my/contact/trust")
    assert HEADING not in visitor.get("/my")
    book = town.utility.services.database.message_book
    # The mailbox is read once more: what it says is older than the word of the customer.
    book.note_address_gone(
        actor="system:deliveries", customer_id=customer, email=ADDRESS, reported_at=before
    )
    assert HEADING not in visitor.get("/my")
    bounced(town, customer)
    assert HEADING in visitor.get("/my")
    changes = town.utility.services.database.timeline(of="customer", subject_id=customer).changes
    assert [c.actor for c in changes if c.table == "customer_channels"][:2] == [
        "system:deliveries",
        "customer:A-M1",
    ]


def test_a_stop_is_of_all_who_share_the_number_and_so_is_the_start(town: Town) -> None:
    customers = [town.home("M1"), town.home("M2")]
    other = town.home("M3")
    phone_of(town, "M1")
    phone_of(town, "M2", "+91 (0)98765-43210")
    phone_of(town, "M3", "+919876543211")
    for serial in ("M1", "M2", "M3"):
        town.bill(serial)
    browsers = [town.confirmed(serial) for serial in ("M1", "M2", "M3")]
    says(town, "STOP", wants=False)
    database = town.utility.services.database
    for customer, browser in zip(customers, browsers, strict=False):
        assert database.customer_contact(customer).sms_stopped_at is not None
        assert "when a STOP came from it" in browser.get("/my")
        (entry,) = [
            change
            for change in database.timeline(of="customer", subject_id=customer).changes
            if change.table == "stopped_numbers"
        ]
        assert (entry.action, entry.actor, entry.after) == (
            "insert", "system:texts", {"phone": PHONE},
        )  # fmt: skip
    assert database.customer_contact(other).sms_stopped_at is None
    assert HEADING not in browsers[2].get("/my")
    says(town, "START", wants=True, number=2)
    for customer, browser in zip(customers, browsers, strict=False):
        assert database.customer_contact(customer).sms_stopped_at is None
        assert HEADING not in browser.get("/my")
        changes = database.timeline(of="customer", subject_id=customer).changes
        found = [change.action for change in changes if change.table == "stopped_numbers"]
        assert found == ["update", "insert"]


def test_another_number_in_the_place_of_one_that_stopped_gets_texts(town: Town) -> None:
    customer = town.home("M1")
    phone_of(town, "M1")
    town.bill("M1")
    visitor = town.confirmed("M1")
    says(town, "STOP", wants=False)
    corrected(visitor, ADDRESS, phone="+919876543299")
    contact = town.utility.services.database.customer_contact(customer)
    assert (contact.phone, contact.sms_stopped_at) == ("+919876543299", None)
    assert HEADING not in visitor.get("/my")


@pytest.mark.parametrize("tag", [tag for tag in OFFERED if tag != "en"])
def test_all_of_it_is_said_in_each_language(town: Town, tag: str) -> None:
    customer = town.home("M1")
    phone_of(town, "M1")
    town.bill("M1")
    link, visitor = town.link("M1"), town.confirmed("M1")
    bounced(town, customer)
    says(town, "STOP", wants=False)
    town.sql(
        "update public.customer_channels set unreached_phone = %s, unreached_phone_at = now()",
        PHONE,
    )
    visitor.post("/my/language", language=tag, next="/my")
    for path in ("/my", "/my/contact"):
        visitor.get(path)
        assert visitor.text.count(ADDRESS) >= 1
        assert english_left(visitor, tag) == [], path
    other = town.visitor()
    other.open(link)
    other.post("/my/language", language=tag, next="/my")
    other.get("/my")
    assert english_left(other, tag) == []
    visitor.get("/my/contact")
    visitor.post("/my/contact/trust")
    assert english_left(visitor, tag) == []
