"""Where the settings and Streamlit's own options let the server listen, before it does."""

from pathlib import Path

from streamlit.config import get_option

from services.settings import Settings
from services.web.certificate import CERTIFICATE_OPTION, KEY_OPTION, CertificateFiles
from services.web.listening import Listening, Reach, RefusedToListen, reach_of


def reach_as_set(settings: Settings) -> tuple[Reach, CertificateFiles | None]:
    """Who reaches the app, and the certificate that is its own.

    Raises RefusedToListen with the sentence on what to set.
    """
    certificate = _certificate()
    reach = reach_of(
        Listening(
            address=get_option("server.address"),
            certificate=certificate is not None,
            trusted_proxy=settings.trusted_proxy,
            public_url=settings.public_url,
            demo=settings.demo,
        )
    )
    if certificate is not None:
        certificate.check()
    return reach, certificate


def _certificate() -> CertificateFiles | None:
    files = (get_option("server.sslCertFile"), get_option("server.sslKeyFile"))
    if any(files) and not all(files):
        raise RefusedToListen(
            f"A certificate needs its key: set both {CERTIFICATE_OPTION} and {KEY_OPTION}, or "
            "neither."
        )
    return CertificateFiles(*map(Path, files)) if all(files) else None
