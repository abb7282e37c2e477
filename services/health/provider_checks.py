"""What the Services page tests of payments and messages; no test sends or changes anything."""

from dataclasses import dataclass

from pydantic import SecretStr

from services.integrations.failures import FinalFailure
from services.messages.discord import Discord
from services.messages.whatsapp import WhatsApp
from services.payments.stripe.client import StripePayments


@dataclass(frozen=True)
class StripeCheck:
    """Asks Stripe for one of our payment links."""

    stripe: StripePayments | None
    name: str = "Payments (Stripe)"

    @property
    def configured(self) -> bool:
        """Whether it is used at all."""
        return self.stripe is not None

    def check(self) -> str:
        """A sentence on its answer; raises TemporaryFailure or FinalFailure."""
        if self.stripe is None:
            raise FinalFailure("Stripe is not configured.")
        return self.stripe.check()


@dataclass(frozen=True)
class DiscordCheck:
    """Asks Discord for the shared channel's webhook."""

    address: SecretStr | None
    client: Discord
    name: str = "Messages (Discord)"

    @property
    def configured(self) -> bool:
        """Whether it is used at all."""
        return self.address is not None

    def check(self) -> str:
        """A sentence on its answer; raises TemporaryFailure or FinalFailure."""
        if self.address is None:
            raise FinalFailure("Discord is not configured.")
        return self.client.check(self.address)


@dataclass(frozen=True)
class WhatsAppCheck:
    """Asks WhatsApp for the number that we send from."""

    client: WhatsApp | None
    name: str = "Messages (WhatsApp)"

    @property
    def configured(self) -> bool:
        """Whether it is used at all."""
        return self.client is not None

    def check(self) -> str:
        """A sentence on its answer; raises TemporaryFailure or FinalFailure."""
        if self.client is None:
            raise FinalFailure("WhatsApp is not configured.")
        return self.client.check()
