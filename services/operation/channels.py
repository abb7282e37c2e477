"""Where alerts go: the log, a Discord channel of the operators, e-mail."""

import logging
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Protocol

from pydantic import SecretStr

from services.bootstrap_providers import mail_server
from services.integrations.mail import MailServer
from services.messages.discord import Discord, plain_note
from services.settings import Settings

log = logging.getLogger(__name__)


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

    server: MailServer
    settings: Settings
    name: str = "mail"

    def tell(self, *, title: str, text: str, over: bool, now: datetime) -> None:  # noqa: ARG002
        """Send one mail."""
        sender, recipient = self.settings.smtp_from or "", self.settings.operations_email or ""
        mail = EmailMessage(policy=SMTP)
        mail["Subject"] = f"{self.settings.utility_name}: {title}"
        mail["From"] = sender
        mail["To"] = recipient
        mail["Date"] = now
        mail.set_content(f"{text}\n\n{self.settings.public_url}\n")
        self.server.send(mail, sender=sender, recipient=recipient)


def channels_of(settings: Settings) -> tuple[AlertChannel, ...]:
    """The channels that are set, and the log."""
    found: list[AlertChannel] = [LogChannel()]
    if settings.operations_discord_webhook_url is not None:
        client = Discord(counted_as="Discord (operations)")
        found.append(DiscordChannel(client, settings.operations_discord_webhook_url))
    server = mail_server(settings, counted_as="E-mail (operations)")
    if settings.operations_email is not None and server is not None:
        found.append(MailChannel(server, settings))
    return tuple(found)
