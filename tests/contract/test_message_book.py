"""What becomes of messages, and what customers answer, on both transports."""

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.database.errors import IllegalChange, NotFound
from services.records.messages import MailboxMark
from tests.contract.over import Over, dsn_of
from tests.contract.test_accounts import bill_of
from tests.integration.utility import ACTOR


def test_a_message_is_held_sent_and_comes_back(over: Over) -> None:
    bill, row_id = bill_of(over), str(uuid4())
    book = over.here.message_book
    about: dict[str, Any] = {
        "bill_id": bill.id,
        "kind": "bill_issued",
        "channel": "email",
        "body": "b",
    }
    about |= {"notification_id": row_id, "recipient": "l…@post.example"}
    with psycopg.connect(dsn_of(over)) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute("update public.customers set email = 'leela@post.example'")
    book.hold_message(**about, occasion="", why="Waits for the end of quiet hours (07:00).")
    assert over.here.begin_notification(**about).send
    over.here.end_notification(notification_id=row_id, status="sent")
    report: dict[str, Any] = {"actor": ACTOR, "notification_id": row_id, "channel": "email"}
    assert not book.note_delivery(**{**report, "channel": "sms"}, status="delivered")
    assert book.note_delivery(**report, status="bounced", detail="Gone.", address_is_gone=True)
    assert not book.note_delivery(**report, status="bounced", detail="Gone.")
    (found,) = over.same("notifications", bill_id=bill.id).items
    assert (found.status, found.error) == ("bounced", "Gone.")
    assert [event.state for event in found.life] == ["held", "sending", "sent", "bounced"]
    assert over.same("customer_contact", bill.customer_id).email_bounced_at is not None
    book.trust_email(actor=ACTOR, customer_id=bill.customer_id)
    assert over.same("customer_contact", bill.customer_id).email_bounced_at is None


def test_what_was_not_written_is_not_sent_again(over: Over) -> None:
    bill = bill_of(over)
    work = over.here.outbox_of(bill.id)[0]
    again: dict[str, Any] = {
        "actor": ACTOR,
        "form_id": str(uuid4()),
        "channel": "sms",
        "label": "SMS",
    }
    with pytest.raises(IllegalChange):
        over.here.message_book.send_again(work_id=work.id, **again)
    with pytest.raises(NotFound):
        over.here.message_book.send_again(work_id=str(uuid4()), **again)


def test_how_far_a_mailbox_was_read_only_goes_on(over: Over) -> None:
    book = over.here.message_book
    assert book.mailbox_mark("a") is None
    first = MailboxMark(uid_validity=7, last_uid=12)
    assert book.mailbox_mark("a", note=first) == first
    earlier = MailboxMark(uid_validity=7, last_uid=3)
    assert book.mailbox_mark("a", note=earlier) == first
    renumbered = MailboxMark(uid_validity=8, last_uid=1)
    assert book.mailbox_mark("a", note=renumbered) == renumbered
    assert over.direct.message_book.mailbox_mark("a") == renumbered


def test_an_answer_is_kept_once_and_seen_to(over: Over) -> None:
    book, reply = over.here.message_book, str(uuid4())
    said: dict[str, Any] = {
        "actor": ACTOR,
        "reply_id": reply,
        "channel": "email",
        "sender": "x@post.example",
    }
    said |= {"body": "I moved.", "received_at": over.utility.now}
    assert book.note_reply(**said)
    assert not book.note_reply(**said)
    (found,) = book.open_replies().items
    assert (found.id, found.customer_id, found.body) == (reply, None, "I moved.")
    assert over.direct.message_book.open_replies() == book.open_replies()
    book.handle_reply(actor=ACTOR, reply_id=reply)
    assert book.open_replies().total == 0
    with pytest.raises(NotFound):
        book.handle_reply(actor=ACTOR, reply_id=str(uuid4()))


def test_who_stops_texts_gets_none_until_they_start_them(over: Over) -> None:
    bill, book = bill_of(over), over.here.message_book
    with psycopg.connect(dsn_of(over)) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        # As it was typed before numbers were brought into one form.
        connection.execute("update public.customers set phone = '+44 (0)20 7946-0958'")

    def says(reply_id: str, wants: bool | None) -> bool:
        return book.note_reply(
            actor=ACTOR,
            reply_id=reply_id,
            channel="sms",
            sender="+442079460958",
            body="…",
            received_at=over.utility.now,
            wants_texts=wants,
        )

    def stopped() -> bool:
        return over.same("customer_contact", bill.customer_id).sms_stopped_at is not None

    stop, start = str(uuid4()), str(uuid4())
    assert says(str(uuid4()), None)
    assert not stopped()
    assert says(stop, False)
    assert stopped()
    assert says(start, True)
    assert not stopped()
    # A STOP that is delivered once more does not undo the START that came after it.
    assert not says(stop, False)
    assert not stopped()
    assert says(str(uuid4()), False)
    assert stopped()
    assert book.open_replies().total == 4


def test_an_address_is_marked_only_while_it_is_the_customers(over: Over) -> None:
    bill, book = bill_of(over), over.here.message_book
    with psycopg.connect(dsn_of(over)) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute("update public.customers set email = 'leela@post.example'")
    for email in ("old@post.example", ""):
        book.note_address_gone(actor=ACTOR, customer_id=bill.customer_id, email=email)
        assert over.same("customer_contact", bill.customer_id).email_bounced_at is None
    for _ in range(2):
        book.note_address_gone(
            actor=ACTOR, customer_id=bill.customer_id, email="leela@post.example"
        )
    assert over.same("customer_contact", bill.customer_id).email_bounced_at is not None


def test_a_message_about_an_account_and_no_bill(over: Over) -> None:
    customer = bill_of(over).customer_id
    today = over.utility.today
    plan = {"steps": {str(n): {"status": "pending"} for n in (11, 12, 13)}, "status": "open"}
    work_id = str(uuid4())
    given: dict[str, Any] = {"statement_id": work_id, "customer_id": customer, "outbox": plan}
    for _ in range(2):
        over.here.owe_statement(actor="test", start=today, end=today, **given)
    with pytest.raises(NotFound):
        over.here.owe_statement(
            actor="test", start=today, end=today, **given | {"customer_id": str(uuid4())}
        )
    claimed = over.here.claim_outbox(owner="me", lease_seconds=60, limit=50, lane="messages")
    (work,) = [one for one in claimed if one.kind == "account_statement"]
    assert (work.bill_id, work.bill) == (None, None)
    assert work.subject is not None
    assert (work.subject.customer_id, work.subject.id) == (customer, "")
    about: dict[str, Any] = {"kind": "account_statement", "occasion": work_id}
    assert over.here.why_unsaid(bill_id="", customer_id=customer, today=today, **about) == ""
    sent: dict[str, Any] = {"notification_id": str(uuid4()), "channel": "email"}
    sent |= {"recipient": "a…@b", "body": "x"}
    claim = over.here.begin_notification(bill_id="", customer_id=customer, **sent, **about)
    assert claim.send
    over.here.end_notification(notification_id=sent["notification_id"], status="sent")
    (row,) = over.same("notifications", customer_id=customer, **about).items
    assert (row.bill_id, row.status, row.outbox_id) == (None, "sent", work_id)
    over.here.message_book.hold_message(bill_id="", customer_id=customer, **about)
