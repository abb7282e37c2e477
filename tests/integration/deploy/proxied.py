"""The app as it stands on a server: beyond loopback, behind a proxy with HTTPS."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from services.web.certificate import CertificateFiles
from tests.certificates import make_certificate
from tests.folders import enterable_folder
from tests.ui.app_process import AppProcess, free_port, start_app

HOST = "localhost"
# Any address of 127/8 reaches loopback; only 127.0.0.1 is the proxy.
CLIENT = "127.0.0.5"


@dataclass(frozen=True)
class Site:
    """A running app, its public address, and what browsers know of its certificate."""

    app: AppProcess
    url: str
    files: CertificateFiles

    def session(self) -> requests.Session:
        """A visitor at CLIENT."""
        visitor = requests.Session()
        visitor.trust_env = False
        visitor.verify = str(self.files.certificate)
        visitor.mount("https://", _From())
        return visitor

    def tls(self) -> ssl.SSLContext:
        """What a WebSocket's client needs."""
        return ssl.create_default_context(cafile=str(self.files.certificate))


class _From(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more, source_address=(CLIENT, 0))


@contextmanager
def app_behind(database: str, https_port: int) -> Iterator[AppProcess]:
    """The app on a database of its own, set up for a proxy at `https_port` of this machine."""
    own = {
        "DEMO": "off",
        "DATABASE_URL": database,
        "TRUSTED_PROXY": "127.0.0.1",
        "PUBLIC_URL": f"https://{HOST}:{https_port}",
    }
    for folder in enterable_folder():
        app = start_app(folder=folder, environment=own)
        try:
            yield app
        finally:
            app.stop()


@contextmanager
def site_files() -> Iterator[tuple[int, CertificateFiles]]:
    """A port for HTTPS and a certificate for HOST."""
    for folder in enterable_folder():
        yield free_port(), make_certificate(Path(folder), HOST)
