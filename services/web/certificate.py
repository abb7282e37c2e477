"""The files of a certificate: whether they can be used, and until when."""

import os
import stat
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificate

from services.web.listening import RefusedToListen

# Those who renew do so 30 days before the end.
ENDS_SOON: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Paths of a certificate (with its chain) and its key, both PEM."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raise RefusedToListen unless both can be read, fit together and the key is private."""
        certificate = self._certificate()
        try:
            with self.key.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                key = load_pem_private_key(file.read(), password=None)
        except OSError as error:
            raise RefusedToListen(
                f"The certificate's key {self.key} cannot be read: {error.strerror}."
            ) from None
        except (ValueError, TypeError):
            raise RefusedToListen(
                f"The certificate's key {self.key} is no PEM key without a passphrase."
            ) from None
        if os.name == "posix" and mode & stat.S_IRWXO:
            raise RefusedToListen(
                f"The certificate's key {self.key} is open to every user of this machine. Run "
                f"`chmod o= {self.key}`; if others may have read it, get another certificate."
            )
        if key.public_key() != certificate.public_key():
            raise RefusedToListen(
                f"The key {self.key} does not belong to the certificate {self.certificate}."
            )

    def ends_at(self) -> datetime:
        """When the certificate ends (UTC), as the file is now; raises RefusedToListen."""
        return self._certificate().not_valid_after_utc

    def _certificate(self) -> Certificate:
        try:
            return load_pem_x509_certificate(self.certificate.read_bytes())
        except OSError as error:
            raise RefusedToListen(
                f"The certificate {self.certificate} cannot be read: {error.strerror}."
            ) from None
        except ValueError:
            raise RefusedToListen(
                f"The certificate {self.certificate} is no PEM certificate."
            ) from None


def sentence_on_end(ends_at: datetime, *, now: datetime) -> str:
    """How long a certificate still holds."""
    day = f"{ends_at:%Y-%m-%d %H:%M} UTC"
    if ends_at <= now:
        return f"The certificate ended on {day}: browsers refuse it."
    if ends_at - now < ENDS_SOON:
        return f"The certificate ends on {day}: renew it, and restart."
    return f"The certificate ends on {day}."
