"""Messages that reached nobody and their letters, on both transports."""

from datetime import date
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from services.database.errors import NotFound
from services.records.bills import Bill
from services.records.customers.letters import UnreachedMessage
from tests.contract.over import Over, dsn_of
from tests.contract.test_accounts import bill_of
from tests.integration.utility import ACTOR

TODAY = date(2026, 11, 30)


def unreached(over: Over, *, address: str = "12 Mill Road") -> tuple[Bill, UnreachedMessage]:
    """A bill whose message went nowhere."""
    bill = bill_of(over)
    with psycopg.connect(dsn_of(over)) as connection:
        connection.execute("select set_config('billing.actor', 'test', false)")
        connection.execute("update public.customers set address = %s", [address])
        # As if it had been written, and left on no channel.
        for ending in ("'open', finished_at = null", "'finished', finished_at = now()"):
            connection.execute(
                f"update public.outbox set status = {ending}, steps = %s where bill_id = %s",  # noqa: S608
                [Jsonb({"11": {"status": "done", "facts": {"text": "Pay."}}}), bill.id],
            )
    (row,) = over.here.letter_book.unreached(limit=10).rows
    return bill, row


def letter(row: UnreachedMessage, letter_id: str) -> dict[str, Any]:
    return {
        "id": letter_id,
        "work_id": row.work_id,
        "customer_name": row.customer_name,
        "address": row.address,
        "account_no": row.account_no,
        "language": "en",
        "subject": f"Electricity bill {row.reference}",
        "body": "Pay.",
        "encloses": [row.bill_id],
    }


def test_a_message_that_went_nowhere_is_printed_once(over: Over) -> None:
    bill, row = unreached(over)
    book, direct = over.here.letter_book, over.direct.letter_book
    assert (row.bill_id, row.address, row.kind) == (bill.id, "12 Mill Road", "bill_issued")
    assert direct.unreached(limit=10) == book.unreached(limit=10)
    assert book.unreached(limit=1).after is not None
    assert book.unreached(limit=1, after=book.unreached(limit=1).after).rows == ()
    assert book.messages([row.work_id]) == (row,)
    batch_id, letter_id = str(uuid4()), str(uuid4())
    letters = [letter(row, letter_id)]
    made = book.print_letters(actor=ACTOR, batch_id=batch_id, today=TODAY, letters=letters)
    assert made is not None
    assert (made.letters, made.made_by, made.written_on) == (1, ACTOR, TODAY)
    # The same form once more, and another form for the same message.
    assert book.print_letters(actor=ACTOR, batch_id=batch_id, today=TODAY, letters=letters) == made
    other = str(uuid4())
    assert book.print_letters(actor=ACTOR, batch_id=other, today=TODAY, letters=letters) is None
    assert book.unreached(limit=10).total == 0
    assert book.batches() == direct.batches() == [made]
    assert book.batch(batch_id) == made
    (kept,) = book.letters(batch_id=batch_id)
    assert kept == direct.letter(letter_id)
    assert (kept.body, kept.encloses, kept.place) == ("Pay.", (bill.id,), 1)
    (sent,) = over.same("notifications", bill_id=bill.id).items
    assert (sent.channel, sent.status, sent.id) == ("letter", "sent", letter_id)
    with pytest.raises(NotFound):
        book.letter(str(uuid4()))
    with pytest.raises(NotFound):
        book.batch(str(uuid4()))


def test_what_is_no_longer_to_be_said_leaves_the_list(over: Over) -> None:
    _, row = unreached(over)
    book = over.here.letter_book
    assert (
        book.print_letters(
            actor=ACTOR, batch_id=str(uuid4()), today=TODAY, letters=[], dropped=[row.work_id]
        )
        is None
    )
    assert book.unreached(limit=10).total == 0
    assert book.batches() == []
