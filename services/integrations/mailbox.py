"""A mailbox over IMAP (RFC 9051), read without changing anything in it."""

import imaplib
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import Final

from pydantic import SecretStr

from services.integrations.http import TIMEOUT_SECONDS, ServiceUnavailable
from services.integrations.mail import Security

# A report holds the message that came back at most in part; of others the text comes first.
MOST_READ: Final = 512 * 1024
_MAILBOX: Final = "The mailbox"
_UID: Final = re.compile(rb"\bUID (\d+)")
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
    """A message in the mailbox: its number, and its first MOST_READ bytes."""

    uid: int
    content: bytes


@dataclass(frozen=True, slots=True)
class OpenMailbox:
    """A mailbox that is open for reading; `uid_validity` says in which numbering."""

    server: imaplib.IMAP4
    uid_validity: int

    def numbers(self, *, after: int | None, since: date) -> list[int]:
        """The numbers of what came after one of them, in order; without one, since a day."""
        asked = f"UID {after + 1}:*" if after is not None else f"SINCE {_imap_date(since)}"
        with _failures():
            answer, found = self.server.uid("SEARCH", asked)
        _taken(answer, "a search")
        with _failures():
            numbers = {int(one) for part in found if part for one in part.split()}
        # "12:*" has the last one also where that is before 12.
        return sorted(number for number in numbers if after is None or number > after)

    def message(self, uid: int) -> Lying | None:
        """A message, which stays as unread as it was; None for one that is gone by now."""
        with _failures():
            answer, found = self.server.uid("FETCH", str(uid), f"(BODY.PEEK[]<0.{MOST_READ}>)")
        _taken(answer, "a look at a message")
        for part in found:
            if isinstance(part, tuple) and (seen := _UID.search(part[0])) and int(seen[1]) == uid:
                return Lying(uid, part[1])
        return None


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
                answer, _ = server.select(f'"{quoted}"', readonly=True)
                _taken(answer, "its folder")
                known = server.response("UIDVALIDITY")[1]
            number = known[0] if known else None
            if not isinstance(number, bytes) or not number.isdigit():
                raise ServiceUnavailable(f"{_MAILBOX}: the server does not number its messages.")
            yield OpenMailbox(server, int(number))
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
