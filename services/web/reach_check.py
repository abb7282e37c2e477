"""What the Services page says of the public address and its HTTPS."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.integrations.failures import FinalFailure
from services.languages.sentence import N_, sentence, sentence_of
from services.web.certificate import CertificateFiles
from services.web.listening import Reach, RefusedToListen


@dataclass(frozen=True)
class ReachCheck:
    """Looks at how the app is reached, and whether the certificate still holds."""

    reach: Reach
    public_url: str
    trusted_proxy: str | None
    certificate: CertificateFiles | None
    now: Callable[[], datetime]
    name: str = N_("Public address")
    unused: str = sentence("Only this machine gets in; docs/deploy.md puts the system on a server.")

    @property
    def configured(self) -> bool:
        """Whether others than this machine get in."""
        return self.reach.beyond

    def check(self) -> str:
        """The address and what does its HTTPS; raises FinalFailure when the certificate ends."""
        if self.certificate is None or self.reach.https != "certificate":
            return sentence(
                "{address}, with HTTPS by the proxy {proxy}.",
                address=self.public_url,
                proxy=str(self.trusted_proxy),
            )
        try:
            validity = self.certificate.validity()
        except RefusedToListen as error:
            raise FinalFailure(sentence_of(error)) from None
        said = validity.sentence(now=self.now())
        if not validity.is_safe(now=self.now()):
            raise FinalFailure(said)
        own = sentence(
            "{address}, with HTTPS by a certificate of its own.", address=self.public_url
        )
        return f"{own} {said}"
