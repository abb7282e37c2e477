"""Mails of customers and of nobody, in the forms that strangers and programs write."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.database.errors import NotFound
from services.integrations.mailbox import MOST_READ, Head, Lying
from services.messages.bounces import ReturnAddress
from services.messages.inbox import MOST_OF_A_SENDER, Inbox
from services.records.messages import CustomerContact, MailboxMark, ReplyHead

AT = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
SENDER = "billing@mill.example"
CUSTOMER = "7b1c1a52-63c4-4b55-8f7b-3a0f3f6f0c11"
NOTIFICATION = "0d3f5c1e-5a9e-4e43-8a7f-2f3f8f8f1c11"
RETURNS = ReturnAddress("bounces@mill.example", hashlib.sha256(b"key").digest())


class Box:
    """A mailbox in memory."""

    name = "bounces@imap.example:993/INBOX"

    def __init__(self, *mails: bytes, validity: int = 1) -> None:
        self.mails = list(mails)
        self.uid_validity = validity
        self.since: date | None = None
        self.looked_at = 0
        self.read: list[int] = []

    @contextmanager
    def opened(self) -> Iterator["Box"]:
        """Itself."""
        yield self

    def last_before(self, since: date) -> int:
        """All of it came since."""
        self.since = since
        return 0

    def heads(self, *, after: int, most: int) -> list[Head]:
        """The heads of the mails at the places behind one, from 1 on."""
        self.looked_at = min(after + most, len(self.mails))
        places = range(after + 1, self.looked_at + 1)
        return [Head(n, self.mails[n - 1].partition(b"\r\n\r\n")[0][:16_384]) for n in places]

    def waiting(self) -> int:
        """How many lie behind those that were looked at."""
        return len(self.mails) - self.looked_at

    def message(self, uid: int) -> Lying | None:
        """As much of a mail as is read; an empty one is gone by now."""
        self.read.append(uid)
        content = self.mails[uid - 1][:MOST_READ]
        return Lying(uid, content, AT) if content else None


class Book:
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.replies: list[dict[str, Any]] = []
        self.deliveries: list[dict[str, Any]] = []
        self.gone: list[tuple[str, str]] = []
        self.mark: MailboxMark | None = None
        self.passed_over = 0
        self.email = "leela@post.example"

    @property
    def message_book(self) -> "Book":
        """Itself."""
        return self

    def mailbox_mark(
        self,
        name: str,
        *,
        note: MailboxMark | None = None,
        waiting: int = 0,
        passed_over: int = 0,
    ) -> MailboxMark | None:
        """How far the mailbox was read."""
        assert name == Box.name
        assert waiting >= 0
        self.mark = note or self.mark
        self.passed_over += passed_over
        return self.mark

    def replies_wanted(
        self, heads: Sequence[ReplyHead], *, most_of_sender: int, **_: int
    ) -> list[int]:
        """As many of one sender as are wanted."""
        counts: Counter[str] = Counter()
        wanted = []
        for head in heads:
            counts[head.sender] += 1
            if counts[head.sender] <= most_of_sender:
                wanted.append(head.uid)
        return wanted

    def note_reply(self, **said: Any) -> bool:
        """Keep an answer."""
        self.replies.append(said)
        return True

    def note_delivery(self, **said: Any) -> bool:
        """Keep a report."""
        self.deliveries.append(said)
        return True

    def note_address_gone(
        self, *, actor: str, customer_id: str, email: str, reported_at: datetime | None
    ) -> None:
        """Keep an address that is not there."""
        assert (actor, reported_at) == ("system:deliveries", AT)
        self.gone.append((customer_id, email))

    def customer_contact(self, customer_id: str) -> CustomerContact:
        """How the one customer is reached."""
        if customer_id != CUSTOMER:
            raise NotFound("EB404", "No such customer.")
        return CustomerContact(
            customer_id=CUSTOMER,
            language="en",
            phone="",
            email=self.email,
            discord_webhook_url=None,
            whatsapp_opt_in_at=None,
        )


def inbox(book: Book, box: Box) -> Inbox:
    database: Any = book
    mailbox: Any = box
    return Inbox(database, mailbox, SENDER, RETURNS, lambda: AT)


def read(*mails: bytes) -> Book:
    book, box = Book(), Box(*mails)
    assert inbox(book, box).look() == len(mails)
    return book


def body_of(*mails: bytes) -> str:
    (reply,) = read(*mails).replies
    return str(reply["body"])


def mail(content: bytes, *, how: str = "text/plain; charset=utf-8", more: str = "") -> bytes:
    head = (
        f"From: Leela <leela@post.example>\r\nTo: {SENDER}\r\nMessage-ID: <1@post.example>\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: {how}\r\n{more}\r\n"
    )
    return head.encode() + content


def report(to: str, status: str = "5.1.1") -> bytes:
    return (
        f"Return-Path: <>\r\nTo: {to}\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=B\r\n\r\n"
        "--B\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
        f"Action: failed\r\nStatus: {status}\r\n\r\n--B--\r\n"
    ).encode()


@pytest.mark.parametrize(
    "how",
    [
        "text/plain; charset=utf-8",
        "text/plain; charset=x-no-such-charset",
        'text/plain; charset="utf-8\x00"',
        "text/plain; charset=utf-16",
        "text/plain",
        "text/plain; charset=",
    ],
)
def test_a_mail_in_a_charset_that_nobody_knows_is_kept(how: str) -> None:
    assert body_of(mail(b"I have moved.", how=how))


def test_letters_that_are_none_of_its_charset_are_replaced() -> None:
    assert body_of(mail("Zähler\r\n".encode("latin-1"))) == "Z\ufffdhler"
    assert body_of(mail("Zähler".encode("latin-1"), how="text/plain; charset=latin-1")) == "Zähler"


def test_base64_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    coded = b"SSBoYXZlIG1vdmVkLiBQ"
    more = "Content-Transfer-Encoding: base64\r\n"
    assert body_of(mail(coded[:-1], more=more)).startswith("I have moved.")


def test_a_huge_mail_is_cut_and_kept() -> None:
    book = read(mail(b"I have moved.\r\n" + b"x" * 30_000_000))
    assert book.replies[0]["body"].startswith("I have moved.")
    assert len(book.replies[0]["body"]) <= 10_000


@pytest.mark.parametrize(
    "html",
    [b"<style" * 80_000, b"<" * 400_000, b"<script>" * 60_000, b"<style>" + b"</" * 200_000],
)
def test_html_made_to_take_long_takes_no_time(html: bytes) -> None:
    began = time.monotonic()
    read(mail(b"<p>Hello</p>" + html, how="text/html; charset=utf-8"))
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("name", ["From", "To", "Subject", "Message-ID", "References"])
@pytest.mark.parametrize("filling", ["(", "<", '"', ",", "a@b.example, ", "=?utf-8?q?x?= "])
def test_a_header_made_to_take_long_takes_no_time(name: str, filling: str) -> None:
    began = time.monotonic()
    long = (filling * 400_000)[:400_000]
    read(f"{name}: {long}\r\nX: y\r\n\r\nHello".encode())
    assert time.monotonic() - began < 5


def test_of_html_the_words_are_kept() -> None:
    html = (
        b"<html><style>p {color: red}</style><body><p>I have &amp; moved.</p>"
        b"<script>alert('x > y')</script><div>To <b>Kochi</b></div></body></html>"
    )
    assert body_of(mail(html, how="text/html")) == "I have & moved.\nTo Kochi"


def test_what_a_person_forwards_is_kept_and_marks_nothing() -> None:
    made = EmailMessage()
    made["From"], made["To"] = "leela@post.example", SENDER
    made.set_content("What is this?")
    inner = EmailMessage()
    inner["Subject"] = "Undelivered"
    inner.set_content("It could not be delivered.")
    made.add_attachment(inner)
    content = made.as_bytes().replace(
        b"Subject: Undelivered", b"Subject: Undelivered\nTo: " + RETURNS.of(NOTIFICATION).encode()
    )
    book = read(content)
    assert not book.deliveries
    assert [reply["body"] for reply in book.replies] == ["What is this?"]


def test_a_report_of_a_message_marks_it_and_its_address() -> None:
    book = read(report(RETURNS.of(NOTIFICATION)))
    (noted,) = book.deliveries
    assert (noted["notification_id"], noted["status"]) == (NOTIFICATION, "bounced")
    assert noted["address_is_gone"] is True
    assert not book.replies


def test_a_code_that_came_back_marks_the_address_that_it_went_to() -> None:
    marked = RETURNS.of_customer(CUSTOMER, "leela@post.example")
    assert read(report(marked)).gone == [(CUSTOMER, "leela@post.example")]
    # The mailbox is full: it may take the next one.
    assert read(report(marked, "5.2.2")).gone == []
    # A code to the address that the customer had before says nothing of the present one.
    assert read(report(RETURNS.of_customer(CUSTOMER, "old@post.example"))).gone == []
    other = RETURNS.of_customer("7b1c1a52-63c4-4b55-8f7b-3a0f3f6f0c12", "leela@post.example")
    assert read(report(other)).gone == []


def test_a_code_to_an_address_in_other_letters_comes_back_as_well() -> None:
    book = Book()
    book.email = "Leela@PÖST.example "
    box = Box(report(RETURNS.of_customer(CUSTOMER, "Leela@xn--pst-sna.example")))
    inbox(book, box).look()
    assert book.gone == [(CUSTOMER, "Leela@PÖST.example ")]


def test_our_own_mail_is_no_answer() -> None:
    assert not read(b"From: Mill <BILLING@mill.example>\r\n\r\nYour bill").replies
    assert not read(b"Subject: nobody\r\n\r\nHello").replies


def test_a_mail_without_an_id_is_the_same_mail_each_time() -> None:
    content = b"From: leela@post.example\r\n\r\nHello"
    first, second = read(content).replies[0], read(content).replies[0]
    assert first["reply_id"] == second["reply_id"]


@pytest.mark.parametrize(
    "said", ["Fri, 31 Dec 9999 23:59:59 +0000", "Mon, 1 Jan 1900 00:00:00 +0000", "yesterday", ""]
)
def test_a_date_that_cannot_be_is_not_believed(said: str) -> None:
    content = f"From: leela@post.example\r\nDate: {said}\r\n\r\nHello".encode()
    assert read(content).replies[0]["received_at"] == AT


def test_what_is_gone_by_now_is_passed_over_and_a_mail_is_read_once() -> None:
    book, box = Book(), Box(b"", mail(b"One"), mail(b"Two"))
    reader = inbox(book, box)
    assert reader.look(limit=2) == 2
    assert reader.look() == 1
    assert reader.look() == 0
    assert [reply["body"] for reply in book.replies] == ["One", "Two"]
    assert book.mark == MailboxMark(uid_validity=1, last_uid=3)
    # The server numbers its mails again: what is read twice has the same id.
    assert inbox(book, Box(*box.mails, validity=2)).look() == 3
    assert len({reply["reply_id"] for reply in book.replies}) == 1


@settings(max_examples=200)
@given(st.binary(max_size=3_000))
def test_no_mail_keeps_the_next_from_being_read(content: bytes) -> None:
    book = read(content or b"x", mail(b"I have moved."))
    assert book.replies[-1]["body"] == "I have moved."
    assert not book.deliveries


@given(st.text(alphabet="<>/stylecrip &;=\"' ab\n", max_size=400))
def test_any_html_is_read(html: str) -> None:
    read(mail(html.encode(), how="text/html"))


def test_what_a_person_writes_to_the_return_address_is_their_answer() -> None:
    content = f"From: leela@post.example\r\nTo: {RETURNS.of(NOTIFICATION)}\r\n\r\nHello".encode()
    book = read(content)
    assert not book.deliveries
    assert [reply["body"] for reply in book.replies] == ["Hello"]


AUTOMATIC = (
    "Auto-Submitted: auto-replied",
    "Auto-Submitted: auto-generated",
    "Auto-Submitted: auto-notified; owner-email=x@post.example",
    "Precedence: bulk",
    "Return-Path: <>",
)


@pytest.mark.parametrize("header", AUTOMATIC)
def test_what_a_program_wrote_is_neither_kept_nor_read_beyond_its_head(header: str) -> None:
    book, box = Book(), Box(f"{header}\r\nFrom: leela@post.example\r\n\r\nI am away.".encode())
    assert inbox(book, box).look() == 1
    assert (book.replies, book.deliveries, box.read) == ([], [], [])


def test_a_report_without_our_mark_is_not_read_beyond_its_head() -> None:
    book, box = Book(), Box(*[report("bounces+forged@mill.example")] * 300, report(SENDER))
    assert inbox(book, box).look() == 301
    assert (book.deliveries, box.read, book.passed_over) == ([], [], 0)


def test_one_who_writes_without_end_fills_nothing_and_hides_no_report() -> None:
    many = [f"From: a@b.example\r\nMessage-ID: <{n}@b>\r\n\r\nx".encode() for n in range(200)]
    book, box = (
        Book(),
        Box(report(RETURNS.of(NOTIFICATION)), *many, report(RETURNS.of(NOTIFICATION))),
    )
    inbox(book, box).look()
    assert len(book.replies) == MOST_OF_A_SENDER
    assert book.passed_over == 200 - MOST_OF_A_SENDER
    assert len(book.deliveries) == 2
    assert len(box.read) == MOST_OF_A_SENDER + 2


def test_the_same_report_sent_without_end_is_read_a_few_times() -> None:
    book, box = Book(), Box(*[report(RETURNS.of(NOTIFICATION))] * 250)
    inbox(book, box).look()
    assert len(box.read) == len(book.deliveries) == 5


def test_a_report_whose_head_does_not_show_that_it_is_one_is_taken_up() -> None:
    odd = report(RETURNS.of(NOTIFICATION)).replace(b"Return-Path: <>\r\n", b"")
    odd = odd.replace(b"multipart/report; report-type=delivery-status", b"multipart/mixed")
    assert len(read(odd).deliveries) == 1
