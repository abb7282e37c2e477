"""Letters of messages that reached nobody: printed once, for the window of an envelope."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pypdfium2
import pytest

from services.bootstrap_providers import Addresses
from services.identity.auth import NotAllowed
from services.messages.letters import AT_ONCE, NothingToPrint, Printed
from services.records.bills import Bill
from tests.integration.money.test_dunning_ladder import Nights
from tests.integration.providers.mailbox.mails import sql
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility
from tests.mail_server import Mailbox, mail_server

MM = 72 / 25.4


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
            "CUSTOMER_EMAIL_BOUNCES_TO": "bounces@mill.example",
        },
    )
    yield made
    made.services.close()


def billed(utility: Utility, serial: str = "M1", kwh: int = 1117) -> Bill:
    """A bill of a customer whom no channel reaches."""
    utility.add_meter(serial)
    bill = utility.submit(serial, kwh).bill
    assert bill is not None
    return utility.services.database.bill(bill.id)


def print_waiting(utility: Utility, batch_id: str | None = None) -> Printed:
    return utility.services.letters.print_waiting(
        batch_id=batch_id or str(uuid4()), principal=ADMIN, now=utility.now
    )


def waiting(utility: Utility) -> int:
    return utility.services.letters.waiting(principal=ADMIN).total


def pages_of(pdf: bytes) -> list[str]:
    return [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(pdf)]


def test_what_reached_nobody_is_printed_once_with_its_bill(
    utility: Utility, box: Mailbox, database: str
) -> None:
    bill = billed(utility)
    sql(database, "update public.customers set address = 'House 12, Temple Lane, Kochi 682001'")
    (row,) = utility.services.letters.waiting(principal=ADMIN).rows
    assert row.why["email"] == "the customer has no e-mail address"
    batch_id = str(uuid4())
    printed = print_waiting(utility, batch_id)
    assert printed.batch.letters == 1
    assert print_waiting(utility, batch_id).batch == printed.batch
    assert waiting(utility) == 0
    with pytest.raises(NothingToPrint, match="Nothing waits for it"):
        print_waiting(utility)
    pages = pages_of(utility.services.letters.pdf(batch_id=batch_id, principal=ADMIN))
    assert f"Electricity bill {bill.reference}" in pages[0]
    assert "₹540.35" in pages[0]
    assert "Charges" in pages[1], "the bill itself"
    found = utility.services.database.notifications(bill_id=bill.id).items
    (letter,) = [one for one in found if one.channel == "letter"]
    assert letter.status == "sent"
    one = utility.services.letters.pdf_of(letter_id=letter.id, principal=ADMIN)
    assert pages_of(one)[0] == pages[0]
    said = utility.services.timeline.of(
        subject="customer", subject_id=bill.customer_id, kind="message", limit=20, principal=ADMIN
    ).entries
    (entry,) = [e for e in said if "Letter" in e.said.more]
    assert entry.by == "admin-1"
    assert not box.mails


def test_the_address_stands_in_the_window(utility: Utility, database: str) -> None:
    billed(utility)
    sql(
        database,
        "update public.customers set name = 'Leela Menon',"
        " address = 'House 12, Temple Lane, Fort Kochi, Ernakulam, Kerala, 682001 India'",
    )
    batch = print_waiting(utility).batch
    pdf = utility.services.letters.pdf(batch_id=batch.id, principal=ADMIN)
    page = pypdfium2.PdfDocument(pdf)[0]
    height, text = page.get_height(), page.get_textpage()
    for words in ("Leela Menon", "House 12", "Temple Lane", "Kerala, 682001 India"):
        found = text.search(words).get_next()
        assert found is not None, words
        left, bottom, right, top = text.get_charbox(found[0])
        _, last_bottom, last_right, _ = text.get_charbox(found[0] + found[1] - 1)
        assert left >= 20 * MM
        assert max(right, last_right) <= (20 + 85) * MM
        assert height - top >= 45 * MM
        assert height - min(bottom, last_bottom) <= (45 + 45) * MM
    # Nothing else is in the window, but who sends it.
    window = text.get_text_bounded(
        left=20 * MM, right=105 * MM, top=height - 62 * MM, bottom=height - 90 * MM
    )
    assert "Account number" not in window
    assert "Electricity" not in window


def test_two_at_once_print_each_message_once(utility: Utility) -> None:
    for n in range(3):
        billed(utility, f"M{n}")
    meet = Barrier(2)

    def go(_: int) -> int:
        meet.wait(10)
        try:
            return print_waiting(utility).batch.letters
        except NothingToPrint:
            return 0

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(go, range(2))) == 3
    assert waiting(utility) == 0
    kept = utility.services.database.notifications(page_size=100).items
    assert sum(one.channel == "letter" for one in kept) == 3


def test_what_was_paid_meanwhile_needs_no_letter(utility: Utility, database: str) -> None:
    billed(utility)
    sql(
        database,
        "update public.outbox set kind = 'payment_reminder', occasion = ''"
        " where kind = 'bill_issued'",
    )
    sql(
        database,
        "update public.notifications set kind = 'payment_reminder'",
    )
    sql(database, "update public.bills set amount_paid_minor = total_minor")
    with pytest.raises(NothingToPrint, match="the bill is paid by now"):
        print_waiting(utility)
    assert waiting(utility) == 0


def test_of_several_notices_of_a_bill_the_last_is_printed(utility: Utility) -> None:
    nights = Nights(utility)
    bill = nights.bill("M1")
    for day in (1, 7):
        nights.nights(bill, day, day)
        utility.services.outbox.sweep(limit=50)
    assert waiting(utility) == 3
    printed = print_waiting(utility)
    assert printed.left_out == (f"{bill.reference}, account A-M1: a later notice overtook it.",)
    found = utility.services.database.notifications(bill_id=bill.id).items
    letters = sorted((one.kind, one.occasion) for one in found if one.channel == "letter")
    assert letters == [("bill_issued", ""), ("overdue_notice", "demand+7")]
    assert waiting(utility) == 0


def test_without_an_address_a_message_stays_in_the_list(utility: Utility, database: str) -> None:
    billed(utility)
    billed(utility, "M2")
    sql(database, "update public.customers set address = '' where account_no = 'A-M1'")
    sql(database, "update public.service_points set address = ''")
    printed = print_waiting(utility)
    assert printed.batch.letters == 1
    assert printed.left_out == ("1 message cannot be printed: there is no address.",)
    (row,) = utility.services.letters.waiting(principal=ADMIN).rows
    assert (row.account_no, row.address) == ("A-M1", "")
    assert AT_ONCE >= 1


def test_letters_that_no_font_has_mark_nothing_as_sent(utility: Utility, database: str) -> None:
    billed(utility)
    sql(database, "update public.customers set name = 'Leela \ue000'")
    with pytest.raises(NothingToPrint, match="No font at hand has these letters"):
        print_waiting(utility)
    assert waiting(utility) == 1


def test_mail_that_came_back_goes_by_letter(utility: Utility, box: Mailbox, database: str) -> None:
    utility.add_meter("M1")
    sql(database, "update public.customers set email = 'leela@post.example'")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    assert len(box.mails) == 1
    assert waiting(utility) == 0
    found = utility.services.database.notifications(bill_id=bill.id).items
    (mail,) = [one for one in found if one.channel == "email"]
    utility.services.database.message_book.note_delivery(
        actor="test",
        notification_id=mail.id,
        channel="email",
        status="bounced",
        detail="Gone.",
        address_is_gone=True,
    )
    utility.services.outbox.sweep()
    (row,) = utility.services.letters.waiting(principal=ADMIN).rows
    assert row.why["email"] == "Gone."
    assert print_waiting(utility).batch.letters == 1
    utility.services.outbox.sweep()
    assert len(box.mails) == 1


def test_who_wants_no_messages_gets_no_letter(utility: Utility) -> None:
    utility.add_meter("M1")
    utility.services.database.set_customer_channels(
        actor="test", rows=[{"account_no": "A-M1", "opted_out_at": "2026-01-01T00:00:00Z"}]
    )
    assert utility.submit("M1", 1117).bill is not None
    assert waiting(utility) == 0


def test_a_message_is_printed_as_a_letter_by_hand_once(
    utility: Utility, box: Mailbox, database: str
) -> None:
    utility.add_meter("M1")
    sql(database, "update public.customers set email = 'leela@post.example'")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    (work,) = utility.services.database.outbox_of(bill.id)
    letters = utility.services.letters
    made = letters.print_one(
        work_id=work.id, batch_id=str(uuid4()), principal=ADMIN, now=utility.now
    )
    assert made.batch.letters == 1
    with pytest.raises(NothingToPrint, match="printed as a letter before"):
        letters.print_one(work_id=work.id, batch_id=str(uuid4()), principal=ADMIN, now=utility.now)
    with pytest.raises(NotAllowed):
        letters.print_one(work_id=work.id, batch_id="x", principal=ENGINEER, now=utility.now)
    with pytest.raises(NotAllowed):
        letters.pdf(batch_id=made.batch.id, principal=ENGINEER)
    assert len(box.mails) == 1


def test_a_printed_disconnection_notice_has_reached_nobody_yet(utility: Utility) -> None:
    nights = Nights(utility)
    bill = nights.bill("M1")
    nights.nights(bill, 1, 14)
    utility.services.outbox.sweep(limit=50)
    print_waiting(utility)
    found = utility.services.database.notifications(bill_id=bill.id).items
    letters = {one.kind for one in found if one.channel == "letter"}
    # The bill goes with its own letter; what the notice overtook is not said any more.
    assert letters == {"bill_issued", "disconnection_notice"}
    assert waiting(utility) == 0
    nights.nights(bill, 15, 15)
    rows, _ = utility.services.database.dunning.history(not_given=True, limit=10)
    assert [row.bill_id for row in rows] == [bill.id]
