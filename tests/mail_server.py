"""A real SMTP server on loopback that keeps what it is sent."""

import email
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from typing import Any, Final

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

Answer = Callable[[], str]
TAKEN: Final = "250 kept"


@dataclass
class Mailbox:
    """The mails that came, by the order in which they did.

    `at_address` and `at_message` are answered, once each, in the place of taking an address or a
    message.
    """

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    at_address: list[str] = field(default_factory=list)
    at_message: list[str | Answer] = field(default_factory=list)
    refused: int = 0

    @property
    def texts(self) -> list[str]:
        """Each mail's subject and text."""
        return [f"{mail['Subject']}\n{body_of(mail)}" for mail in self.mails]

    async def handle_RCPT(  # noqa: N802
        self, _: Any, __: Any, envelope: Any, address: str, ___: list[str]
    ) -> str:
        """Take an address, or answer what a test wants."""
        if self.at_address:
            self.refused += 1
            return self.at_address.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: Any, __: Any, envelope: Any) -> str:  # noqa: N802
        """Take a message, or answer what a test wants; a function may end the connection."""
        if self.at_message:
            self.refused += 1
            answer = self.at_message.pop(0)
            if isinstance(answer, str):
                return answer
            self._keep(envelope)
            server.transport.abort()
            return answer()
        self._keep(envelope)
        return TAKEN

    def _keep(self, envelope: Any) -> None:
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))


def body_of(mail: EmailMessage) -> str:
    """The text of a mail."""
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


@contextmanager
def mail_server(
    *, security: ssl.SSLContext | None = None, login: tuple[str, str] | None = None
) -> Iterator[Mailbox]:
    """A server; with `security` it asks for STARTTLS, with `login` for a name and a password."""
    box = Mailbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        box.port = int(free.getsockname()[1])

    def knows(_: Any, __: Any, ___: Any, ____: Any, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        right = login is not None and (given.login, given.password) == (
            login[0].encode(),
            login[1].encode(),
        )
        return AuthResult(success=right)

    server = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        tls_context=security,
        require_starttls=security is not None,
        authenticator=knows if login else None,
        auth_required=login is not None,
        auth_require_tls=security is not None,
    )
    server.start()
    try:
        yield box
    finally:
        server.stop()
