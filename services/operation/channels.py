"""Where alerts go: the log, a Discord channel of the operators, e-mail."""

import logging
import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Final, Protocol

from pydantic import SecretStr

from services.integrations.http import TIMEOUT_SECONDS, OutcomeUnknown, ServiceUnavailable
from services.messages.discord import Discord, plain_note
from services.settings import Settings

log = logging.getLogger(__name__)

_MAIL: Final = "E-mail"


class AlertChannel(Protocol):
    """Somewhere to tell of an alert."""

    @property
    def name(self) -> str:
        """Its name in records."""
        ...

    def tell(self, *, title: str, text: str, over: bool, now: datetime) -> None:
        """Tell of one; raises TemporaryFailure, FinalFailure, OutcomeUnknown."""
        ...


@dataclass(frozen=True)
class LogChannel:
    """The log of the process that tells."""

    name: str = "log"

    def tell(self, *, title: str, text: str, over: bool, now: datetime) -> None:  # noqa: ARG002
        """Write a line; never fails."""
        level = logging.INFO if over else logging.ERROR
        log.log(level, "%s: %s", title, text, extra={"every": True})


@dataclass(frozen=True)
class DiscordChannel:
    """A channel of the operators."""

    client: Discord
    address: SecretStr
    name: str = "discord"

    def tell(self, *, title: str, text: str, over: bool, now: datetime) -> None:  # noqa: ARG002
        """Post it."""
        self.client.post(self.address, plain_note(title=title, text=text))


@dataclass(frozen=True)
class MailChannel:
    """Mail to the operators over a server of the utility's."""

    settings: Settings
    timeout_seconds: float = TIMEOUT_SECONDS
    name: str = "mail"

    def tell(self, *, title: str, text: str, over: bool, now: datetime) -> None:  # noqa: ARG002
        """Send one mail to each address, in one go."""
        mail = EmailMessage()
        mail["Subject"] = f"{self.settings.utility_name}: {title}"
        mail["From"] = self.settings.smtp_from
        mail["To"] = self.settings.operations_email
        mail["Date"] = now
        mail.set_content(f"{text}\n\n{self.settings.public_url}\n")
        try:
            with self._connected() as server:
                if self.settings.smtp_user and self.settings.smtp_password:
                    server.login(
                        self.settings.smtp_user, self.settings.smtp_password.get_secret_value()
                    )
                server.send_message(mail)
        except smtplib.SMTPServerDisconnected:
            raise OutcomeUnknown(f"{_MAIL}: the server hung up.") from None
        except smtplib.SMTPResponseException as error:
            raise ServiceUnavailable(f"{_MAIL}: the server said {error.smtp_code}.") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise ServiceUnavailable(f"{_MAIL} failed: {type(error).__name__}.") from None

    def _connected(self) -> smtplib.SMTP:
        host, port = self.settings.smtp_host or "", self.settings.smtp_port
        secure = ssl.create_default_context()
        if self.settings.smtp_security == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=self.timeout_seconds, context=secure)
        server = smtplib.SMTP(host, port, timeout=self.timeout_seconds)
        if self.settings.smtp_security == "starttls":
            try:
                server.starttls(context=secure)
            except BaseException:
                server.close()
                raise
        return server


def channels_of(settings: Settings) -> tuple[AlertChannel, ...]:
    """The channels that are set, and the log."""
    found: list[AlertChannel] = [LogChannel()]
    if settings.operations_discord_webhook_url is not None:
        client = Discord(counted_as="Discord (operations)")
        found.append(DiscordChannel(client, settings.operations_discord_webhook_url))
    if settings.operations_email is not None:
        found.append(MailChannel(settings))
    return tuple(found)
