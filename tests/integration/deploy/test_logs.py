"""The logs of deploy/nginx.conf and Caddyfile hold no token of a link, also when all fails."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from services.settings import PROJECT_FOLDER
from tests.certificates import make_certificate
from tests.ui.app_process import free_port
from tests.ui.nginx import nginx_with

DEPLOY = PROJECT_FOLDER / "deploy"
HOST = "localhost"
TOKEN = "T0ken-of-a-link-that-lets-people-in"
ADDRESSES = (
    f"/my/open?k={TOKEN}",
    f"/session/link?code={TOKEN}",
    f"/sign-in/code?code={TOKEN}",
    f"/my?next=/my/open%3Fk%3D{TOKEN}",
)


@dataclass(frozen=True)
class Proxy:
    """A proxy whose system does not answer, and where it logs."""

    http: str
    https: str
    logs: tuple[Path, ...]

    def visit(self) -> None:
        """Ask for each address, encrypted and not, from a page whose address has the token."""
        for base in (self.http, self.https):
            for address in ADDRESSES:
                requests.get(
                    base + address,
                    headers={"Referer": f"{base}{ADDRESSES[0]}"},
                    verify=False,  # noqa: S501 - the test's own certificate
                    allow_redirects=False,
                    timeout=20,
                )

    def said(self) -> str:
        """All that is logged by now."""
        return "\n".join(log.read_text() for log in self.logs if log.exists())


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Proxy]:
    http, https, nobody = free_port(), free_port(), free_port()
    made = make_certificate(tmp_path, HOST)
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen [::]:80;": "",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{https} ssl http2;",
        "listen [::]:443 ssl http2;": "",
        "server 127.0.0.1:8501;": f"server 127.0.0.1:{nobody};",
        "/etc/letsencrypt/live/billing.example.org/fullchain.pem": str(made.certificate),
        "/etc/letsencrypt/live/billing.example.org/privkey.pem": str(made.key),
        "/var/log/nginx/": f"{tmp_path}/",
    }.items():
        assert old in text
        text = text.replace(old, new)
    # As Debian's nginx.conf has it around the file.
    text = text.replace("server_tokens off;", f"server_tokens off; error_log {tmp_path}/error.log;")
    with nginx_with(text, f"http://127.0.0.1:{http}/.well-known/acme-challenge/"):
        logs = (tmp_path / "access.log", tmp_path / "error.log")
        yield Proxy(f"http://127.0.0.1:{http}", f"https://127.0.0.1:{https}", logs)


@pytest.fixture
def caddy(tmp_path: Path) -> Iterator[Proxy]:
    program = shutil.which("caddy")
    if program is None:
        reason = "Caddy is not installed (Debian: apt install caddy)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    http, https, nobody = free_port(), free_port(), free_port()
    options = f"""{{
	admin off
	http_port {http}
	https_port {https}
	local_certs
	skip_install_trust
"""
    file, log = tmp_path / "Caddyfile", tmp_path / "log"
    file.write_text((DEPLOY / "Caddyfile").read_text().replace("{\n", options, 1))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_DATA_HOME": str(tmp_path),
        "BILLING_HOST": HOST,
        "BILLING_UPSTREAM": f"127.0.0.1:{nobody}",
    }
    with log.open("w") as out:
        process = subprocess.Popen(
            [program, "run", "--config", str(file), "--adapter", "caddyfile"],
            env=environment,
            stderr=out,
        )
        try:
            _wait_for(f"http://{HOST}:{http}", f"https://{HOST}:{https}")
            yield Proxy(f"http://{HOST}:{http}", f"https://{HOST}:{https}", (log,))
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(*addresses: str) -> None:
    ends_at = time.monotonic() + 60
    for address in addresses:
        while True:
            try:
                requests.get(
                    address,
                    verify=False,  # noqa: S501 - the test's own certificate
                    allow_redirects=False,
                    timeout=9,
                )
                break
            except requests.RequestException:
                assert time.monotonic() < ends_at, "Caddy did not start"
                time.sleep(0.1)


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_nginx_logs_what_was_asked_for_and_no_token(nginx: Proxy) -> None:
    nginx.visit()
    said = nginx.said()
    assert '"GET /my/open HTTP/' in said
    assert " 502 " in said
    assert " 308 " in said
    assert TOKEN not in said
    # Of all else it is still said that the system did not answer.
    requests.get(f"{nginx.https}/bills", verify=False, timeout=20)  # noqa: S501 - its own
    assert "while connecting to upstream" in nginx.said()


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_caddy_logs_that_the_system_is_away_and_no_token(caddy: Proxy) -> None:
    caddy.visit()
    said = caddy.said()
    assert '"uri":"/my/open"' in said
    assert "connection refused" in said
    assert TOKEN not in said
