"""A mailbox that strangers fill: what is for us is found, nothing is answered, little is kept."""

import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest

import scheduler
from services.messages.inbox import MOST_OF_A_SENDER, MOST_OF_STRANGERS
from services.operation.conditions import MAILBOX, Conditions
from services.operation.figures import Figures
from services.telemetry.outside_calls import OutsideCalls
from tests.imap_server import ImapServer
from tests.integration.providers.mailbox.mails import (
    SENDER,
    envelope_of,
    look,
    mailed,
    report,
    sql,
    submit,
)
from tests.integration.utility import Utility
from tests.mail_server import Mailbox

# As with 50,000, which takes longer to put there than to read.
FLOOD = 2_000


def strangers(count: int) -> Iterator[bytes]:
    """Mails of as many strangers: of people, of programs, and reports on what we never sent."""
    forged = f"bounces+{'a' * 39}@mill.example"
    for number in range(count):
        head = (
            "Return-Path: <>\nContent-Type: multipart/report; boundary=B\n"
            if number % 5 == 0
            else ""
        )
        to = forged if number % 7 == 0 else SENDER
        head += "Auto-Submitted: auto-replied\n" if number % 11 == 0 else ""
        yield (
            f"{head}From: s{number}@spam{number % 97}.example\nTo: {to}\n"
            f"Subject: Offer {number}\nMessage-ID: <{number}@spam.example>\n\n" + "Buy now. " * 60
        ).encode()


def people_among(count: int) -> int:
    return sum(1 for n in range(count) if n % 5 and n % 11)


def conditions(utility: Utility) -> dict[str, str]:
    services = utility.services
    found = Conditions(services, Figures(services), OutsideCalls()).look(datetime.now(UTC))
    return found.seen


def answer(number: int = 1, **headers: str) -> bytes:
    mail = EmailMessage()
    given = {"From": "leela@post.example", "Message-ID": f"<{number}@post.example>"}
    for name, value in (given | headers).items():
        mail[name.replace("_", "-")] = value
    mail.set_content(f"I have moved ({number}).")
    return mail.as_bytes()


def test_reports_and_answers_are_found_under_a_flood_and_the_office_sees_it(
    utility: Utility, imap: ImapServer, smtp: Mailbox, database: str
) -> None:
    first = submit(utility)
    utility.add_meter("M2")
    sql(database, "update public.customers set email = 'm2@post.example' where account_no = 'A-M2'")
    second = utility.submit("M2", 1117).bill
    assert second is not None
    sent, entries = len(smtp.mails), sql(database, "select count(*) from public.outbox")
    imap.deliver(report(envelope_of(utility, first)))
    imap.fill(strangers(FLOOD))
    with imap.signed_in() as server:
        server.select("INBOX")
    imap.deliver(answer())
    imap.deliver(report(envelope_of(utility, second.id)))
    looked = 0
    while found := look(utility):
        looked += found
    assert looked == FLOOD + 3
    # The oldest and the newest.
    assert mailed(utility, first).status == "bounced"
    assert mailed(utility, second.id).status == "bounced"
    replies = utility.services.database.message_book.open_replies(page_size=500)
    assert replies.total == MOST_OF_STRANGERS + 1
    assert [r.account_no for r in replies.items if r.customer_id is not None] == ["A-M1"]
    assert utility.services.inbox is not None
    state = utility.services.inbox.state()
    assert state is not None
    assert (state.waiting, state.passed_over) == (0, people_among(FLOOD) - MOST_OF_STRANGERS)
    assert "were left unread, as more than are kept" in conditions(utility)[MAILBOX]
    # Nobody was answered, and nothing waits to be: what came back goes on by SMS alone.
    assert len(smtp.mails) == sent
    assert sql(database, "select count(*) from public.outbox") == entries


def test_a_calm_mailbox_is_no_condition(utility: Utility, imap: ImapServer, database: str) -> None:
    assert MAILBOX not in conditions(utility)
    imap.deliver(answer())
    assert look(utility) == 1
    assert MAILBOX not in conditions(utility)
    sql(database, "update public.mailboxes set waiting = 30000")
    assert conditions(utility)[MAILBOX].endswith("mails wait to be read in the mailbox.")
    sql(
        database,
        "update public.mailboxes set waiting = 0, passed_over = 7,"
        " flooded_since = now() - interval '26 hours', flooded_at = now() - interval '25 hours'",
    )
    assert MAILBOX not in conditions(utility)


def test_two_programs_that_answer_each_other_are_not_we(
    utility: Utility, imap: ImapServer, smtp: Mailbox, database: str
) -> None:
    submit(utility)
    sent, entries = len(smtp.mails), sql(database, "select count(*) from public.outbox")
    automatic: list[dict[str, str]] = [
        {"Auto_Submitted": "auto-replied"},
        {"Auto_Submitted": "auto-generated"},
        {"Precedence": "auto_reply"},
        {"Precedence": "list"},
        {"Return_Path": "<>"},
    ]
    for number, headers in enumerate(automatic * 4):
        imap.deliver(answer(number, **headers))
    for number in range(MOST_OF_A_SENDER + 5):
        imap.deliver(answer(100 + number, Reply_To=SENDER))
    while look(utility):
        utility.services.outbox.sweep()
    assert utility.services.database.message_book.open_replies().total == MOST_OF_A_SENDER
    assert len(smtp.mails) == sent
    assert sql(database, "select count(*) from public.outbox") == entries


def test_what_is_too_much_for_a_day_is_read_by_people_and_the_next_day_is_another(
    utility: Utility, imap: ImapServer, database: str
) -> None:
    for number in range(MOST_OF_A_SENDER + 3):
        imap.deliver(answer(number))
    look(utility)
    replies = utility.services.database.message_book
    assert replies.open_replies().total == MOST_OF_A_SENDER
    assert not any(b"Seen" in flags for flags in imap.flags())
    sql(
        database, "update public.customer_replies set created_at = created_at - interval '25 hours'"
    )
    imap.deliver(answer(500))
    look(utility)
    assert replies.open_replies().total == MOST_OF_A_SENDER + 1


def test_the_memory_that_a_look_takes_does_not_grow_with_the_mails(
    utility: Utility, imap: ImapServer
) -> None:
    imap.deliver(answer())
    look(utility)
    huge, many = b"x" * 300_000, b"<a@b.example> " * 2_000
    imap.fill(b"From: s%d@spam.example\nReferences: %s\n\n%s" % (n, many, huge) for n in range(240))
    tracemalloc.start()
    try:
        assert look(utility) == 240
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40_000_000


def test_a_mailbox_that_fills_faster_than_it_is_read_does_not_hold_the_scheduler(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def endless(_: Any, **__: Any) -> int:
        nonlocal looks
        looks += 1
        return 1

    assert utility.services.inbox is not None
    monkeypatch.setattr(type(utility.services.inbox), "look", endless)
    monkeypatch.setattr(scheduler, "LONGEST_LOOK_SECONDS", 0.2)
    began = datetime.now(UTC)
    scheduler.Scheduler(utility.services).read_mailbox()
    assert datetime.now(UTC) - began < timedelta(seconds=5)
    assert looks > 0


def test_mails_that_people_delete_while_it_is_read_hide_none(
    utility: Utility, imap: ImapServer
) -> None:
    bill = submit(utility)
    for number in range(6):
        imap.deliver(answer(number))
    assert utility.services.inbox is not None
    assert utility.services.inbox.look(limit=3) == 3
    with imap.signed_in() as server:
        server.select("INBOX")
        server.store("1:2", "+FLAGS", "(\\Deleted)")
        server.expunge()
    imap.deliver(report(envelope_of(utility, bill)))
    assert look(utility) == 4
    assert mailed(utility, bill).status == "bounced"
    assert utility.services.database.message_book.open_replies().total == 6
