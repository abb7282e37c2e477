"""A mailbox over IMAP (RFC 9051), read without changing anything in it."""

import imaplib
import logging
import re
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from pydantic import SecretStr

from services.integrations.http import TIMEOUT_SECONDS, ServiceUnavailable
from services.integrations.mail import Security

log = logging.getLogger(__name__)

# A report holds the message that came back at most in part; of others the text comes first.
MOST_READ: Final = 512 * 1024
MOST_OF_A_HEAD: Final = 16 * 1024
# imaplib takes no line of more than a million bytes, and a number may have ten digits.
_SEARCHED_AT_ONCE: Final = 20_000
_FIELDS: Final = (
    "FROM TO DELIVERED-TO X-ORIGINAL-TO ENVELOPE-TO X-DELIVERED-TO RETURN-PATH CONTENT-TYPE "
    "AUTO-SUBMITTED PRECEDENCE IN-REPLY-TO REFERENCES"
)
_HEAD: Final = f"(UID BODY.PEEK[HEADER.FIELDS ({_FIELDS})]<0.{MOST_OF_A_HEAD}>)"
_MAILBOX: Final = "The mailbox"
_UID: Final = re.compile(rb"\bUID (\d+)")
_EMPTY: Final = re.compile(rb'\bBODY\[.*\](?:<\d+>)? (?:""|NIL)', re.DOTALL)
# As RFC 9051 writes a date, whatever the language of this machine is.
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


@dataclass(frozen=True, slots=True)
class Lying:
    """A message in the mailbox: its number, its first MOST_READ bytes, when it came (UTC)."""

    uid: int
    content: bytes
    arrived_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """Of a message its number and the headers by which it is sorted, at most MOST_OF_A_HEAD."""

    uid: int
    content: bytes


class OpenMailbox:
    """A mailbox that is open for reading; `uid_validity` says in which numbering.

    However many messages lie in it, no answer of the server is longer than what is asked for.
    """

    def __init__(self, server: imaplib.IMAP4, uid_validity: int, exists: int) -> None:
        self.server = server
        self.uid_validity = uid_validity
        self._exists = exists
        # The place of the last message that was looked at; only a guess, as others may go away.
        self._place = 0

    def last_before(self, since: date) -> int:
        """The number after which the messages begin that came on a day or later; 0 for all.

        It goes back from the newest until it finds none, and so asks for no old mailbox as a whole.
        """
        first, high = None, self._exists
        while high > 0:
            low = max(1, high - _SEARCHED_AT_ONCE + 1)
            found = self._search(f"{low}:{high} SINCE {_imap_date(since)}")
            if not found:
                break
            first, high = min(found), low - 1
        if first is not None:
            return first - 1
        return self._uid_at(self._exists) if self._exists else 0

    def heads(self, *, after: int, most: int) -> list[Head]:
        """The heads of the first messages whose number is above `after`, in order.

        One that the server cannot give is passed over; raises ServiceUnavailable if it gives none.
        """
        self._note_those_gone()
        begin = self._first_place_after(after)
        if begin > self._exists:
            return []
        end = min(begin + most - 1, self._exists)
        found = self._heads_between(begin, end)
        self._place = end
        return sorted((head for head in found if head.uid > after), key=lambda head: head.uid)

    def waiting(self) -> int:
        """How many messages lie behind the last one that was looked at."""
        return max(0, self._exists - self._place)

    def message(self, uid: int) -> Lying | None:
        """A message, which stays as unread as it was; None for one that is gone or not given."""
        asked = f"(INTERNALDATE BODY.PEEK[]<0.{MOST_READ}>)"
        with _failures():
            answer, found = self.server.uid("FETCH", str(uid), asked)
        if answer != "OK":
            log.warning("the server of the mailbox does not give mail %d", uid)
            return None
        for said, content in _literals(found):
            if (seen := _UID.search(said)) and int(seen[1]) == uid:
                return Lying(uid, content, _arrived_at(said))
        return None

    def _first_place_after(self, after: int) -> int:
        """The place, from 1 on, of the first message above a number: mostly behind the last."""
        hint = self._place
        if (
            0 < hint <= self._exists
            and self._uid_at(hint) <= after
            and (hint == self._exists or self._uid_at(hint + 1) > after)
        ):
            return hint + 1
        low, high = 1, self._exists + 1
        while low < high:
            middle = (low + high) // 2
            if self._uid_at(middle) > after:
                high = middle
            else:
                low = middle + 1
        self._place = low - 1
        return low

    def _uid_at(self, place: int) -> int:
        with _failures():
            answer, found = self.server.fetch(str(place), "(UID)")
        _taken(answer, "a look at a number")
        for part in found:
            said = part if isinstance(part, bytes) else b""
            if seen := _UID.search(said):
                return int(seen[1])
        raise ServiceUnavailable(f"{_MAILBOX}: the server gives no number of a message.")

    def _search(self, what: str) -> list[int]:
        with _failures():
            answer, found = self.server.uid("SEARCH", what)
        _taken(answer, "a search")
        with _failures():
            return [int(one) for part in found if part for one in part.split()]

    def _heads_between(self, begin: int, end: int) -> list[Head]:
        with _failures():
            answer, found = self.server.fetch(f"{begin}:{end}", _HEAD)
        if answer == "OK":
            return _heads_of(found)
        if begin == end:
            log.warning("the server of the mailbox does not give the head of a mail")
            return []
        # One damaged message must not keep all behind it from being read.
        heads = [
            one for place in range(begin, end + 1) for one in self._heads_between(place, place)
        ]
        if not heads:
            raise ServiceUnavailable(f"{_MAILBOX}: the server refuses a look at messages.")
        return heads

    def _note_those_gone(self) -> None:
        """Others may delete mails meanwhile: the places behind them move."""
        with _failures():
            _, gone = self.server.response("EXPUNGE")
        count = sum(1 for one in gone or [] if one is not None)
        if count:
            self._exists = max(0, self._exists - count)
            self._place = 0


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A folder of an account at an IMAP server."""

    host: str
    user: str
    password: SecretStr
    port: int = 993
    security: Security = "tls"
    folder: str = "INBOX"
    timeout_seconds: float = TIMEOUT_SECONDS

    @property
    def name(self) -> str:
        """What tells it from other mailboxes."""
        return f"{self.user}@{self.host}:{self.port}/{self.folder}"

    @contextmanager
    def opened(self) -> Iterator[OpenMailbox]:
        """The mailbox, open for reading alone; raises ServiceUnavailable."""
        with _failures():
            server = self._connected()
        try:
            with _failures():
                server.login(self.user, self.password.get_secret_value())
                quoted = self.folder.replace("\\", "\\\\").replace('"', '\\"')
                answer, exists = server.select(f'"{quoted}"', readonly=True)
                _taken(answer, "its folder")
                known = server.response("UIDVALIDITY")[1]
            number = known[0] if known else None
            if not isinstance(number, bytes) or not number.isdigit():
                raise ServiceUnavailable(f"{_MAILBOX}: the server does not number its messages.")
            count = exists[0] if exists else None
            if not isinstance(count, bytes) or not count.isdigit():
                raise ServiceUnavailable(f"{_MAILBOX}: the server does not count its messages.")
            yield OpenMailbox(server, int(number), int(count))
        finally:
            with suppress(imaplib.IMAP4.error, OSError):
                server.logout()

    def _connected(self) -> imaplib.IMAP4:
        secure = ssl.create_default_context()
        if self.security == "tls":
            return imaplib.IMAP4_SSL(
                self.host, self.port, ssl_context=secure, timeout=self.timeout_seconds
            )
        server = imaplib.IMAP4(self.host, self.port, timeout=self.timeout_seconds)
        if self.security == "starttls":
            try:
                server.starttls(ssl_context=secure)
            except BaseException:
                server.shutdown()
                raise
        return server


def _imap_date(day: date) -> str:
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year}"


def _literals(found: Sequence[Any]) -> Iterator[tuple[bytes, bytes]]:
    """What a FETCH answers with: what is said of each message, and what was asked of it.

    Some servers say a number after the text; an empty text may come without a length of its own.
    """
    for place, part in enumerate(found):
        if isinstance(part, tuple):
            behind = found[place + 1] if place + 1 < len(found) else b""
            yield part[0] + b" " + (behind if isinstance(behind, bytes) else b""), part[1]
        elif isinstance(part, bytes) and _EMPTY.search(part):
            yield part, b""


def _heads_of(found: Sequence[Any]) -> list[Head]:
    numbered = ((_UID.search(said), content) for said, content in _literals(found))
    return [Head(int(uid[1]), content) for uid, content in numbered if uid]


def _arrived_at(said: bytes) -> datetime | None:
    """When the server took a message in, by its own clock."""
    local = imaplib.Internaldate2tuple(said)
    try:
        return datetime.fromtimestamp(time.mktime(local), UTC) if local else None
    except (OverflowError, ValueError, OSError):
        return None


def _taken(answer: str, what: str) -> None:
    # Not in the server's words, which may name the account.
    if answer != "OK":
        raise ServiceUnavailable(f"{_MAILBOX}: the server refuses {what}.")


@contextmanager
def _failures() -> Iterator[None]:
    """A server that cannot be reached or asked, as a failure that may pass."""
    try:
        yield
    except imaplib.IMAP4.error as error:
        refused = "closed the connection" if isinstance(error, imaplib.IMAP4.abort) else "refuses"
        raise ServiceUnavailable(f"{_MAILBOX}: the server {refused}.") from None
    except (OSError, ValueError) as error:
        raise ServiceUnavailable(f"{_MAILBOX} failed: {type(error).__name__}.") from None
