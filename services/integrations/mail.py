"""E-mail over the utility's SMTP server (RFC 5321): one message for each connection."""

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Final, Literal

from pydantic import SecretStr

from services.integrations.http import (
    TIMEOUT_SECONDS,
    OutcomeUnknown,
    RequestRejected,
    ServiceUnavailable,
)
from services.telemetry.outside_calls import outside_calls

Security = Literal["starttls", "tls", "none"]
_MAIL: Final = "E-mail"
_OK: Final = range(200, 300)
_FINAL: Final = range(500, 600)


@dataclass(frozen=True, slots=True)
class MailServer:
    """A server that takes our mail; `counted_as` is its name in figures."""

    host: str
    port: int = 587
    security: Security = "starttls"
    user: str | None = None
    password: SecretStr | None = None
    timeout_seconds: float = TIMEOUT_SECONDS
    counted_as: str = _MAIL

    def send(self, mail: EmailMessage, *, sender: str, recipient: str) -> None:
        """Hand a message over to the server, for one recipient.

        Raises ServiceUnavailable where it was not taken this time, RequestRejected where the
        server refuses the address or the message for good, OutcomeUnknown where the connection
        broke while the message left. None of them has the address in it.
        """
        with outside_calls.watched(self.counted_as), self._connected() as server:
            refused = _handed_over(server, mail, sender=sender, recipient=recipient)
        # A server that refuses an address works.
        if refused:
            raise RequestRejected(refused)

    def check(self) -> str:
        """A sentence on the server's answer; nothing is sent. Raises ServiceUnavailable."""
        with outside_calls.watched(self.counted_as), self._connected() as server:
            _taken(server.noop()[0], "the connection")
        return f"{self.host} takes mail."

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        with _failures():
            server = self._opened()
            try:
                server.ehlo_or_helo_if_needed()
                if self.user and self.password:
                    server.login(self.user, self.password.get_secret_value())
                yield server
            finally:
                # What was sent is sent, whatever becomes of the connection.
                with suppress(smtplib.SMTPException, OSError):
                    server.quit()
                server.close()

    def _opened(self) -> smtplib.SMTP:
        secure = ssl.create_default_context()
        if self.security == "tls":
            return smtplib.SMTP_SSL(
                self.host, self.port, timeout=self.timeout_seconds, context=secure
            )
        server = smtplib.SMTP(self.host, self.port, timeout=self.timeout_seconds)
        if self.security == "starttls":
            try:
                server.starttls(context=secure)
            except BaseException:
                server.close()
                raise
        return server


def _handed_over(server: smtplib.SMTP, mail: EmailMessage, *, sender: str, recipient: str) -> str:
    """Why the server refuses the address or the message for good, or nothing."""
    content = mail.as_bytes()
    options = [f"size={len(content)}"] if server.has_extn("size") else []
    # What is wrong with the sender is for the utility to mend; the message waits.
    _taken(server.mail(sender, options)[0], "the sender")
    code, _ = server.rcpt(recipient)
    if code in _FINAL:
        return f"{_MAIL}: the server refuses the address ({code})."
    _taken(code, "the address")
    try:
        code, _ = server.data(content)
    except smtplib.SMTPDataError as error:
        code = error.smtp_code
    except (smtplib.SMTPServerDisconnected, OSError):
        raise OutcomeUnknown(f"{_MAIL}: the connection broke as the message left.") from None
    if code in _FINAL:
        return f"{_MAIL}: the server refuses the message ({code})."
    _taken(code, "the message")
    return ""


def _taken(code: int, what: str) -> None:
    # By its code alone: a server's words may repeat an address.
    if code not in _OK:
        raise ServiceUnavailable(f"{_MAIL}: the server does not take {what} now ({code}).")


@contextmanager
def _failures() -> Iterator[None]:
    """A server that cannot be reached or asked, as a failure that may pass."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise ServiceUnavailable(f"{_MAIL}: the server said {error.smtp_code}.") from None
    except smtplib.SMTPServerDisconnected:
        raise ServiceUnavailable(f"{_MAIL}: the server hung up.") from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise ServiceUnavailable(f"{_MAIL} failed: {type(error).__name__}.") from None
