"""How a mailbox is asked, and what becomes of the answers of odd servers."""

import imaplib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.integrations.http import ServiceUnavailable
from services.integrations.mailbox import MOST_READ, Head, Lying, OpenMailbox

DAY = date(2026, 11, 3)


class Server:
    """A mailbox of numbered mails in memory; `broken` are numbers that it does not give."""

    def __init__(self, *uids: int, broken: Sequence[int] = (), answer: Any = None) -> None:
        self.uids = list(uids)
        self.broken = set(broken)
        self.answer = answer
        self.gone: list[bytes] = []
        self.asked: list[tuple[str, ...]] = []

    def uid(self, *asked: str) -> Any:
        """A search or a message, or what was set as the answer."""
        self.asked.append(asked)
        self._fail()
        if self.answer is not None:
            return self.answer
        places = self._places(asked[1].split()[0])
        return "OK", [" ".join(str(self.uids[place - 1]) for place in places).encode()]

    def fetch(self, places: str, what: str) -> Any:
        """Numbers, or heads, by place."""
        self.asked.append((places, what))
        self._fail()
        if self.answer is not None:
            return self.answer
        found: list[Any] = []
        for place in self._places(places):
            uid = self.uids[place - 1]
            if what == "(UID)":
                found.append(f"{place} (UID {uid})".encode())
            elif uid in self.broken:
                return "NO", [b"it is damaged"]
            else:
                text = f"From: {uid}@post.example\r\n\r\n".encode()
                found += [(f"{place} (UID {uid} BODY[X]<0> {{{len(text)}}}".encode(), text), b")"]
        return "OK", found

    def response(self, name: str) -> Any:
        """The places of mails that others deleted."""
        gone: list[bytes | None] = [*self.gone]
        self.gone = []
        return name, gone or [None]

    def delete(self, place: int) -> None:
        """Somebody else deletes a mail."""
        del self.uids[place - 1]
        self.gone.append(str(place).encode())

    def _fail(self) -> None:
        if isinstance(self.answer, Exception):
            raise self.answer

    @staticmethod
    def _places(text: str) -> range:
        first, _, last = text.partition(":")
        return range(int(first), int(last or first) + 1)


def opened(server: Any, exists: int | None = None) -> OpenMailbox:
    return OpenMailbox(server, 1, len(server.uids) if exists is None else exists)


def numbers(box: OpenMailbox, after: int, most: int = 100) -> list[int]:
    return [head.uid for head in box.heads(after=after, most=most)]


def test_a_mailbox_that_was_never_read_is_asked_since_a_day_in_english() -> None:
    server = Server(3, 7)
    assert opened(server).last_before(DAY) == 2
    assert server.asked == [("SEARCH", "1:2 SINCE 3-Nov-2026")]


def test_of_a_mailbox_that_was_never_read_old_mail_is_not_asked_for() -> None:
    server = Server(*range(1, 50_001))
    assert opened(server).last_before(DAY) == 0
    # No answer has more numbers than a line takes.
    assert [asked[1].split()[0] for asked in server.asked] == [
        "30001:50000",
        "10001:30000",
        "1:10000",
    ]
    nothing = Server(3, 7, answer=("OK", [b""]))
    nothing.fetch = Server(3, 7).fetch  # type: ignore[method-assign]
    assert opened(nothing).last_before(DAY) == 7
    assert opened(Server()).last_before(DAY) == 0


def test_heads_come_in_order_behind_the_last_number_in_parts() -> None:
    server = Server(2, 3, 5, 8, 13, 21)
    box = opened(server)
    assert numbers(box, 3, most=2) == [5, 8]
    assert box.waiting() == 2
    assert numbers(box, 8, most=2) == [13, 21]
    assert numbers(box, 21) == []
    assert box.waiting() == 0
    assert numbers(opened(Server()), 0) == []


def test_mail_that_others_delete_meanwhile_hides_none_behind_it() -> None:
    server = Server(*range(1, 11))
    box = opened(server)
    assert numbers(box, 0, most=4) == [1, 2, 3, 4]
    for _ in range(3):
        server.delete(1)
    assert numbers(box, 4, most=4) == [5, 6, 7, 8]
    assert numbers(box, 8) == [9, 10]


def test_a_damaged_mail_keeps_none_behind_it_from_being_read() -> None:
    assert numbers(opened(Server(1, 2, 3, broken=[2])), 0) == [1, 3]
    with pytest.raises(ServiceUnavailable):
        numbers(opened(Server(1, 2, broken=[1, 2])), 0)


@pytest.mark.parametrize(
    "answer",
    [
        ("NO", [b"leela@post.example is over quota"]),
        ("OK", [b"no numbers"]),
        imaplib.IMAP4.error("leela@post.example"),
        imaplib.IMAP4.abort("leela@post.example"),
        TimeoutError("leela@post.example"),
    ],
)
def test_a_server_that_refuses_is_asked_later_and_its_words_are_not_repeated(answer: Any) -> None:
    box = opened(Server(1, 2, answer=answer))
    with pytest.raises(ServiceUnavailable) as failed:
        box.heads(after=0, most=5)
    assert "leela" not in str(failed.value)
    with pytest.raises(ServiceUnavailable) as failed:
        box.last_before(DAY)
    assert "leela" not in str(failed.value)


def test_a_mail_is_read_in_part_stays_unread_and_says_when_it_came() -> None:
    said = b'1 (UID 5 INTERNALDATE "30-Nov-2026 10:00:00 +0530" BODY[]<0> {5}'
    server = Server(5, answer=("OK", [(said, b"Hello"), b")"]))
    arrived = datetime(2026, 11, 30, 4, 30, tzinfo=UTC)
    assert opened(server).message(5) == Lying(5, b"Hello", arrived)
    assert server.asked == [("FETCH", "5", f"(INTERNALDATE BODY.PEEK[]<0.{MOST_READ}>)")]
    late = Server(5, answer=("OK", [(b"1 (BODY[]<0> {5}", b"Hello"), b" UID 5)"]))
    assert opened(late).message(5) == Lying(5, b"Hello")


@pytest.mark.parametrize(
    "answer",
    [
        ("OK", [None]),
        ("OK", []),
        ("OK", [b"1 (FLAGS (\\Seen))"]),
        ("OK", [(b"1 (UID 6 BODY[] {5}", b"Other")]),
        ("NO", [b"it is damaged"]),
    ],
)
def test_a_mail_that_is_gone_damaged_or_another_is_none(answer: Any) -> None:
    assert opened(Server(5, answer=answer)).message(5) is None


def test_a_head_without_any_of_its_headers_counts_as_read() -> None:
    empty = Server(4, answer=("OK", [b'1 (UID 4 BODY[HEADER.FIELDS (FROM)]<0> "")']))
    assert opened(empty).heads(after=3, most=5) == [Head(4, b"")]


@given(st.sets(st.integers(1, 10**6), max_size=60), st.integers(0, 10**6), st.integers(1, 9))
def test_each_number_comes_once_in_order_however_it_is_asked(
    uids: set[int], after: int, most: int
) -> None:
    box, found = opened(Server(*sorted(uids))), []
    last = after
    while part := numbers(box, last, most):
        assert len(part) <= most
        found += part
        last = part[-1]
    assert found == sorted(uid for uid in uids if uid > after)
