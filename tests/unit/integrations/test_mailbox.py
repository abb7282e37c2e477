"""How a mailbox is asked, and what becomes of the answers of odd servers."""

import imaplib
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.integrations.http import ServiceUnavailable
from services.integrations.mailbox import MOST_READ, Lying, OpenMailbox

DAY = date(2026, 11, 3)


class Server:
    """Answers as it was set up to, and keeps what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, ...]] = []

    def uid(self, *asked: str) -> Any:
        """The answer, or the failure."""
        self.asked.append(asked)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def opened(answer: Any) -> tuple[OpenMailbox, Server]:
    server: Any = Server(answer)
    return OpenMailbox(server, 1), server


def test_a_mailbox_that_was_never_read_is_asked_since_a_day_in_english() -> None:
    box, server = opened(("OK", [b"7 3"]))
    assert box.numbers(after=None, since=DAY) == [3, 7]
    assert server.asked == [("SEARCH", "SINCE 3-Nov-2026")]


def test_what_was_read_is_not_read_again_though_the_server_names_it() -> None:
    box, server = opened(("OK", [b"12"]))
    assert box.numbers(after=12, since=DAY) == []
    assert server.asked == [("SEARCH", "UID 13:*")]


@pytest.mark.parametrize("found", [[None], [b""], []])
def test_an_empty_mailbox_has_no_numbers(found: list[bytes | None]) -> None:
    assert opened(("OK", found))[0].numbers(after=None, since=DAY) == []


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
    box, _ = opened(answer)
    with pytest.raises(ServiceUnavailable) as failed:
        box.numbers(after=None, since=DAY)
    assert "leela" not in str(failed.value)


def test_a_mail_is_read_in_part_and_stays_unread() -> None:
    box, server = opened(("OK", [(b"1 (UID 5 BODY[]<0> {5}", b"Hello"), b")"]))
    assert box.message(5) == Lying(5, b"Hello")
    assert server.asked == [("FETCH", "5", f"(BODY.PEEK[]<0.{MOST_READ}>)")]


@pytest.mark.parametrize(
    "found", [[None], [], [b"1 (FLAGS (\\Seen))"], [(b"1 (UID 6 BODY[] {5}", b"Other")]]
)
def test_a_mail_that_is_gone_or_another_is_none(found: list[Any]) -> None:
    assert opened(("OK", found))[0].message(5) is None


@given(st.lists(st.integers(1, 10**6)), st.integers(0, 10**6) | st.none())
def test_numbers_come_in_order_each_once_and_all_after_the_last(
    numbers: list[int], after: int | None
) -> None:
    text = " ".join(map(str, numbers)).encode()
    found = opened(("OK", [text]))[0].numbers(after=after, since=DAY)
    assert found == sorted({n for n in numbers if after is None or n > after})
