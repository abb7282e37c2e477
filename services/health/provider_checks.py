"""What the Services page tests of payments and messages; no test sends or changes anything."""

from dataclasses import dataclass

from pydantic import SecretStr

from services.integrations.failures import FinalFailure
from services.integrations.mail import MailServer
from services.integrations.mailbox import Mailbox
from services.languages.sentence import N_, sentence
from services.messages.discord import Discord
from services.messages.sms import SmsProvider
from services.messages.whatsapp import WhatsApp
from services.payments.stripe.client import StripePayments


@dataclass(frozen=True)
class StripeCheck:
    """Asks Stripe for one of our payment links."""

    stripe: StripePayments | None
    name: str = N_("Payments (Stripe)")

    @property
    def configured(self) -> bool:
        """Whether it is used at all."""
        return self.stripe is not None

    def check(self) -> str:
        """A sentence on its answer; raises TemporaryFailure or FinalFailure."""
        if self.stripe is None:
            raise FinalFailure(sentence("Stripe is not configured."))
        return self.stripe.check()


@dataclass(frozen=True)
class DiscordCheck:
    """Asks Discord for the shared channel's webhook."""

    address: SecretStr | None
    client: Discord
    name: str = N_("Messages (Discord)")

    @property
    def configured(self) -> bool:
        """Whether it is used at all."""
        return self.address is not None

    def check(self) -> str:
        """A sentence on its answer; raises TemporaryFailure or FinalFailure."""
        if self.address is None:
            raise FinalFailure(sentence("Discord is not configured."))
        return self.client.check(self.address)


@dataclass(frozen=True)
class WhatsAppCheck:
    """Asks WhatsApp for the number that we send from."""

    client: WhatsApp | None
    name: str = N_("Messages (WhatsApp)")

    @property
    def configured(self) -> bool:
        """Whether it is used at all."""
        return self.client is not None

    def check(self) -> str:
        """A sentence on its answer; raises TemporaryFailure or FinalFailure."""
        if self.client is None:
            raise FinalFailure(sentence("WhatsApp is not configured."))
        return self.client.check()


@dataclass(frozen=True)
class MailCheck:
    """Signs in at the mail server, and sends nothing."""

    server: MailServer | None
    name: str = N_("Messages (e-mail)")

    @property
    def configured(self) -> bool:
        """Whether it is used at all."""
        return self.server is not None

    def check(self) -> str:
        """A sentence on its answer; raises TemporaryFailure or FinalFailure."""
        if self.server is None:
            raise FinalFailure(sentence("E-mail is not configured."))
        return self.server.check()


@dataclass(frozen=True)
class MailboxCheck:
    """Opens the mailbox that mail comes back to, and changes nothing in it."""

    mailbox: Mailbox
    name: str = N_("Mailbox (mail that comes back)")
    configured: bool = True

    def check(self) -> str:
        """A sentence on its answer; raises TemporaryFailure."""
        with self.mailbox.opened():
            return sentence("{host} opens the mailbox.", host=self.mailbox.host)


@dataclass(frozen=True)
class SmsCheck:
    """Asks who sends our texts whether it is there."""

    provider: SmsProvider | None
    name: str = N_("Messages (SMS)")

    @property
    def configured(self) -> bool:
        """Whether it is used at all."""
        return self.provider is not None

    def check(self) -> str:
        """A sentence on its answer; raises TemporaryFailure or FinalFailure."""
        if self.provider is None:
            raise FinalFailure(sentence("SMS is not configured."))
        return self.provider.check()
