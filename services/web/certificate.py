"""The files of a certificate: whether they can be used, and until when."""

import os
import ssl
import stat
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import Certificate, load_pem_x509_certificate

from services.languages.sentence import sentence
from services.web.listening import RefusedToListen

# Those who renew do so 30 days before the end.
ENDS_SOON: Final = timedelta(days=14)
CERTIFICATE_OPTION: Final = "STREAMLIT_SERVER_SSL_CERT_FILE"
KEY_OPTION: Final = "STREAMLIT_SERVER_SSL_KEY_FILE"


@dataclass(frozen=True, slots=True)
class Validity:
    """From when until when a certificate holds (UTC)."""

    begins_at: datetime
    ends_at: datetime

    def is_safe(self, *, now: datetime) -> bool:
        """Whether it holds, and for long enough to renew it at leisure."""
        return self.begins_at <= now and self.ends_at - now >= ENDS_SOON

    def sentence(self, *, now: datetime) -> str:
        """How long it still holds, and what to do if that is not long."""
        if now < self.begins_at:
            return sentence(
                "The certificate begins on {at}: until then browsers refuse it. Look at this "
                "machine's clock.",
                at=_minute(self.begins_at),
            )
        day = _minute(self.ends_at)
        if self.ends_at <= now:
            return sentence(
                "The certificate ended on {at}: browsers refuse it. Renew it, and restart; or look "
                "at this machine's clock.",
                at=day,
            )
        if self.ends_at - now < ENDS_SOON:
            return sentence("The certificate ends on {at}: renew it, and restart.", at=day)
        return sentence("The certificate ends on {at}.", at=day)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Paths of a certificate (with its chain) and its key, both PEM."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Raise RefusedToListen unless the server can use both, and the key is private."""
        certificate = self._certificate()
        content, mode = _content_of(self.key, "key", KEY_OPTION)
        try:
            key = load_pem_private_key(content, password=None)
        except TypeError:
            raise RefusedToListen(
                f"The key {self.key} is encrypted, and nobody is there to type its passphrase. "
                f"Write it without one: `openssl pkey -in {self.key} -out NEW-FILE`, and set "
                f"{KEY_OPTION} to that."
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            raise RefusedToListen(
                f"The key {self.key} is no PEM key, which begins with -----BEGIN PRIVATE KEY-----. "
                f"Set {KEY_OPTION} to the key's file."
            ) from None
        if os.name == "posix" and mode & stat.S_IRWXO:
            raise RefusedToListen(
                f"The key {self.key} is open to every user of this machine. Run "
                f"`chmod o= {self.key}`; if others may have read it, get another certificate."
            )
        if key.public_key() != certificate.public_key():
            raise RefusedToListen(
                f"The key {self.key} does not belong to the certificate {self.certificate}. Name "
                "two files that were issued together; the certificate's file begins with the "
                "server's own, before its chain."
            )
        self._give_to_the_server()

    def validity(self) -> Validity:
        """When the certificate holds, as the file is now; raises RefusedToListen."""
        certificate = self._certificate()
        return Validity(certificate.not_valid_before_utc, certificate.not_valid_after_utc)

    def _certificate(self) -> Certificate:
        content, _ = _content_of(self.certificate, "certificate", CERTIFICATE_OPTION)
        try:
            return load_pem_x509_certificate(content)
        except ValueError:
            raise RefusedToListen(
                f"The certificate {self.certificate} is no PEM certificate, which begins with "
                f"-----BEGIN CERTIFICATE-----. Set {CERTIFICATE_OPTION} to the certificate's file."
            ) from None

    def _give_to_the_server(self) -> None:
        """Load both as the server will: a broken chain and too weak a key show only there."""
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key)
        except (ssl.SSLError, OSError) as error:
            reason = getattr(error, "reason", None) or error.strerror
            raise RefusedToListen(
                f"The server cannot use the certificate {self.certificate} with its key: {reason}. "
                "Get both from whoever issues it once more."
            ) from None


def _content_of(file: Path, what: str, option: str) -> tuple[bytes, int]:
    """What is in a file, and its mode."""
    try:
        with file.open("rb") as opened:
            return opened.read(), os.fstat(opened.fileno()).st_mode
    except (FileNotFoundError, NotADirectoryError):
        advice = f"does not exist. Put it there, or correct {option}"
    except IsADirectoryError:
        advice = f"is a folder. Set {option} to the file in it"
    except PermissionError:
        advice = (
            "may not be read by the user who runs the system. Let that user read the file and "
            "enter its folders"
        )
    except OSError as error:
        advice = f"cannot be read: {error.strerror}"
    raise RefusedToListen(f"The {what} {file} {advice}.")


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
