"""Statements of account by mail: a message like every other, with its life, and sent again."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.accounts.statements import NoStatement
from services.bootstrap_providers import Addresses
from services.database.errors import NotFound
from services.identity.auth import NotAllowed
from services.messages.letters import NothingToPrint
from services.records.messages import Notification
from tests.integration.providers.mailbox.mails import sql
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility
from tests.mail_server import Mailbox, body_of, mail_server


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


@pytest.fixture
def utility(box: Mailbox, database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(
        database,
        tmp_path,
        addresses=Addresses(),
        more_settings={
            "DEMO": "off",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(box.port),
            "SMTP_SECURITY": "none",
            "CUSTOMER_EMAIL_FROM": "billing@mill.example",
            "MESSAGES_PER_MINUTE_EMAIL": "100000",
        },
    )
    made.add_meter("M1")
    assert made.submit("M1", 1117).bill is not None
    sql(database, "update public.customers set email = 'leela@post.example'")
    yield made
    made.services.close()


def customer(utility: Utility) -> str:
    (bill,) = utility.bills_of("M1")
    return str(bill.customer_id)


def days(utility: Utility) -> dict[str, date]:
    return {
        "start": utility.today - timedelta(days=40),
        "end": utility.today + timedelta(days=1),
    }


def mail(utility: Utility, form: str | None = None, **how: Any) -> bool:
    given: dict[str, Any] = {"customer_id": customer(utility), "principal": ADMIN}
    given |= {"statement_id": form or str(uuid4())} | days(utility) | how
    return utility.services.statements.mail(**given)


def later(utility: Utility, dsn: str) -> None:
    sql(dsn, "update public.outbox set next_attempt_at = now() - interval '1 s'")
    utility.services.outbox.sweep(limit=50)


def messages(utility: Utility) -> list[Notification]:
    """Those of statements, as the customer's page lists them."""
    found = utility.services.messages.to_customer(
        customer_id=customer(utility), principal=ADMIN, page=1, page_size=50
    )
    return [one for one in found.items if one.kind == "account_statement"]


def test_it_is_mailed_once_and_among_the_messages(
    utility: Utility, box: Mailbox, database: str
) -> None:
    form = str(uuid4())
    for _ in range(2):
        assert mail(utility, form)
        later(utility, database)
    (sent,) = box.mails
    assert sent["Subject"] == "Your statement of account A-M1"
    assert "is attached." in body_of(sent)
    (attached,) = sent.iter_attachments()
    assert attached.get_content().startswith(b"%PDF")
    (row,) = messages(utility)
    assert (row.channel, row.status, row.bill_id) == ("email", "sent", None)
    assert row.recipient == "l…@post.example"
    assert [event.state for event in row.life] == ["sending", "sent"]
    listed = utility.services.messages.notifications(
        text="A-M1", status=None, principal=ADMIN, page=1, page_size=50
    )
    assert row.id in [one.id for one in listed.items]
    (entry,) = [
        one
        for one in utility.services.timeline.of(
            subject="customer",
            subject_id=customer(utility),
            kind="message",
            limit=20,
            principal=ADMIN,
        ).entries
        if "statement of account" in one.said.what
    ]
    assert "sent" in entry.said.more or "handed over" in entry.said.more


def test_what_comes_back_is_seen_and_sent_again(
    utility: Utility, box: Mailbox, database: str
) -> None:
    assert mail(utility)
    later(utility, database)
    (row,) = messages(utility)
    utility.services.database.message_book.note_delivery(
        actor="test", notification_id=row.id, channel="email", status="bounced", detail="Full."
    )
    later(utility, database)
    (row,) = messages(utility)
    assert (row.status, row.error, row.outbox_status) == ("bounced", "Full.", "finished")
    assert row.outbox_id is not None
    # A letter of it would enclose nothing.
    waiting = utility.services.letters.waiting(principal=ADMIN).rows
    assert [one.kind for one in waiting] == ["bill_issued"]
    with pytest.raises(NothingToPrint, match="printed on the page of the customer"):
        utility.services.letters.print_one(
            work_id=row.outbox_id, batch_id=str(uuid4()), principal=ADMIN, now=utility.now
        )
    again: dict[str, Any] = {"work_id": row.outbox_id, "form_id": str(uuid4()), "principal": ADMIN}
    for _ in range(2):
        utility.services.messages.send_again(channel="email", label="E-mail", **again)
        later(utility, database)
    assert len(box.mails) == 2
    assert list(box.mails[-1].iter_attachments())
    assert sorted(one.status for one in messages(utility)) == ["bounced", "sent"]


def test_a_server_that_is_away_is_tried_again_and_a_refusal_needs_a_look(
    utility: Utility, box: Mailbox, database: str
) -> None:
    box.at_address += ["451 4.7.1 later", "550 5.1.1 no such mailbox"]
    assert mail(utility)
    later(utility, database)
    assert [one.status for one in messages(utility)] == ["waiting"]
    later(utility, database)
    assert [one.status for one in messages(utility)] == ["failed"]
    failed = utility.services.messages.failed_work(principal=ADMIN, page=1, page_size=5)
    (work,) = [one for one in failed.items if one.kind == "account_statement"]
    assert (work.bill_id, work.account_no) == (None, "A-M1")
    utility.services.messages.retry(work_id=work.id, principal=ADMIN)
    later(utility, database)
    assert len(box.mails) == 1


def test_it_keeps_to_quiet_hours(utility: Utility, box: Mailbox, database: str) -> None:
    local = datetime.now(UTC).astimezone(utility.services.settings.timezone)
    hours = [(local + timedelta(hours=n)).strftime("%H:%M") for n in (-2, 2)]
    row: dict[str, Any] = {"account_no": "A-M1", "quiet_from": hours[0], "quiet_until": hours[1]}
    utility.services.database.set_customer_channels(actor="test", rows=[row])
    assert mail(utility)
    later(utility, database)
    assert not box.mails
    (held,) = messages(utility)
    assert (held.status, held.life[-1].state) == ("waiting", "held")
    row |= {"quiet_from": None, "quiet_until": None}
    utility.services.database.set_customer_channels(actor="test", rows=[row])
    later(utility, database)
    assert len(box.mails) == 1


def test_its_turn_comes_in_the_queue_of_its_channel(
    utility: Utility, box: Mailbox, database: str
) -> None:
    sql(database, "update public.message_rates set free_at = now() + interval '1 hour'")
    sql(
        database,
        "insert into public.message_rates (channel, free_at)"
        " values ('email', now() + interval '1 hour')"
        " on conflict (channel) do update set free_at = excluded.free_at",
    )
    assert mail(utility)
    later(utility, database)
    (row,) = messages(utility)
    assert (row.status, row.life[-1].state) == ("waiting", "queued")
    sql(database, "update public.message_rates set free_at = now() - interval '1 s'")
    utility.services.delivery.deliver("email")
    assert len(box.mails) == 1
    assert [one.status for one in messages(utility)] == ["sent"]


def test_what_cannot_be_is_refused_and_leaves_nothing(
    utility: Utility, box: Mailbox, database: str
) -> None:
    with pytest.raises(NoStatement):
        mail(utility, start=utility.today, end=utility.today)
    with pytest.raises(NotFound):
        mail(utility, customer_id=str(uuid4()))
    with pytest.raises(NotAllowed):
        mail(utility, principal=ENGINEER)
    row = {"account_no": "A-M1", "opted_out_at": "2026-01-01T00:00:00Z"}
    utility.services.database.set_customer_channels(actor="test", rows=[row])
    assert not mail(utility)
    sql(database, "update public.customers set email = 'nowhere'")
    assert not mail(utility)
    later(utility, database)
    assert messages(utility) == []
    assert not box.mails
