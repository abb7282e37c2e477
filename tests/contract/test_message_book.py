"""What becomes of messages, and what customers answer, on both transports."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.database.errors import IllegalChange, NotFound
from services.records.messages import MailboxMark, MailboxState, ReplyHead
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

    def noted(uid_validity: int, last_uid: int) -> tuple[int, int]:
        mark = MailboxMark(uid_validity=uid_validity, last_uid=last_uid)
        state = book.mailbox_mark("a", note=mark)
        assert state is not None
        assert over.direct.message_book.mailbox_mark("a") == state
        return state.uid_validity, state.last_uid

    assert noted(7, 12) == (7, 12)
    assert noted(7, 3) == (7, 12)
    assert noted(8, 1) == (8, 1)


def test_a_mailbox_says_since_when_strangers_flood_it(over: Over) -> None:
    book, mark = over.here.message_book, MailboxMark(uid_validity=7, last_uid=1)

    def noted(waiting: int, passed_over: int) -> MailboxState:
        state = book.mailbox_mark("a", note=mark, waiting=waiting, passed_over=passed_over)
        assert state is not None
        return state

    calm = noted(0, 0)
    assert (calm.waiting, calm.passed_over, calm.flooded_since) == (0, 0, None)
    assert not calm.is_flooded(calm.read_at, over_after=timedelta(days=1))
    first = noted(900, 30)
    second = noted(400, 12)
    assert (second.waiting, second.passed_over) == (400, 42)
    assert second.flooded_since == first.flooded_since == first.flooded_at
    assert noted(0, 0).passed_over == 42
    assert second.is_flooded(second.read_at, over_after=timedelta(days=1))
    # A day without one ends it, and the next begins at nothing.
    with psycopg.connect(dsn_of(over)) as connection:
        connection.execute(
            "update public.mailboxes set flooded_since = flooded_since - interval '3 days',"
            " flooded_at = flooded_at - interval '25 hours'"
        )
    assert not noted(0, 0).is_flooded(second.read_at, over_after=timedelta(days=1))
    again = noted(0, 5)
    assert again.passed_over == 5
    assert again.flooded_since == again.flooded_at


def test_answers_are_kept_of_customers_first_and_of_nobody_without_end(over: Over) -> None:
    bill, book = bill_of(over), over.here.message_book
    with psycopg.connect(dsn_of(over)) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute("update public.customers set email = 'Leela@post.example'")

    def wanted(*senders: str, sender: int = 2, customers: int = 3, strangers: int = 4) -> list[int]:
        heads = [ReplyHead(uid=n, sender=one) for n, one in enumerate(senders, 1)]
        return book.replies_wanted(
            heads, most_of_sender=sender, most_of_customers=customers, most_of_strangers=strangers
        )

    assert wanted() == []
    assert wanted("x@a", "X@a", "x@a", "leela@POST.example") == [1, 2, 4]
    assert wanted(*(f"{n}@a" for n in range(9)), "leela@post.example") == [1, 2, 3, 4, 10]
    # Those of the last day count, and of nobody else's.
    for number in range(2):
        book.note_reply(
            actor=ACTOR,
            reply_id=str(uuid4()),
            channel="email",
            sender=("x@a", "Leela@post.example")[number],
            body="…",
            received_at=over.utility.now,
        )
    assert wanted("x@a", "x@a", "y@a", "leela@post.example", "leela@post.example") == [1, 3, 4]
    assert wanted("y@a", "z@a", "v@a", "w@a") == [1, 2, 3]
    # An answer to a message of ours is a customer's, whatever it is sent from.
    row_id = str(uuid4())
    over.here.begin_notification(
        notification_id=row_id,
        bill_id=bill.id,
        kind="bill_issued",
        channel="email",
        recipient="l…@post.example",
        body="b",
    )
    answer = ReplyHead(uid=9, sender="work@b", notification_id=row_id)
    assert book.replies_wanted(
        [answer], most_of_sender=1, most_of_customers=9, most_of_strangers=0
    ) == [9]
    assert (
        book.replies_wanted(
            [ReplyHead(uid=9, sender="work@b", notification_id=str(uuid4()))],
            most_of_sender=1,
            most_of_customers=9,
            most_of_strangers=0,
        )
        == []
    )


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


def test_a_number_that_writes_without_end_fills_nothing_and_can_stop_texts(over: Over) -> None:
    book = over.here.message_book

    def says(wants: bool | None = None, sender: str = "+442079460958") -> bool:
        return book.note_reply(
            actor=ACTOR,
            reply_id=str(uuid4()),
            channel="whatsapp" if wants is None else "sms",
            sender=sender,
            body="…",
            received_at=over.utility.now,
            wants_texts=wants,
        )

    with psycopg.connect(dsn_of(over)) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute(
            "insert into public.customer_replies (id, channel, sender, received_at)"
            " select gen_random_uuid(), 'whatsapp', '+442079460958', now()"
            " from generate_series(1, 99)"
        )
    assert says()
    assert not says()
    assert says(sender="+442079460959")
    assert says(wants=False)
    assert book.open_replies().total == 102


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
    since = over.same("customer_contact", bill.customer_id).email_bounced_at
    assert since is not None
    book.trust_email(actor=ACTOR, customer_id=bill.customer_id)
    again = {"actor": ACTOR, "customer_id": bill.customer_id, "email": "leela@post.example"}
    book.note_address_gone(**again, reported_at=since)
    assert over.same("customer_contact", bill.customer_id).email_bounced_at is None
    book.note_address_gone(**again, reported_at=datetime.now(UTC) + timedelta(minutes=1))
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
