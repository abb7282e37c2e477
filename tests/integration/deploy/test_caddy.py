"""deploy/Caddyfile as it is, with certificates of Caddy's own, before a real app."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import requests
from websockets.sync.client import connect

from services.settings import PROJECT_FOLDER
from services.web.certificate import CertificateFiles
from tests.integration.deploy.proxied import CLIENT, HOST, Site, app_behind
from tests.servers import NewDatabase
from tests.ui.app_process import free_port

CADDYFILE = PROJECT_FOLDER / "deploy" / "Caddyfile"
# Ports that nobody uses, certificates of its own, and no part that can be told to change.
GLOBAL = """{
	admin off
	http_port %d
	https_port %d
	local_certs
	skip_install_trust
"""


@pytest.fixture(scope="module")
def caddy() -> str:
    program = shutil.which("caddy")
    if program is None:
        reason = "Caddy is not installed (Debian: apt install caddy)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@pytest.fixture(scope="module")
def database(fresh_database: NewDatabase) -> str:
    return fresh_database()


@pytest.fixture(scope="module")
def site(caddy: str, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("caddy"), free_port()
    with app_behind(database, port) as app:
        file = folder / "Caddyfile"
        # Its own options stand in the block of ours.
        file.write_text(CADDYFILE.read_text().replace("{\n", GLOBAL % (free_port(), port), 1))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_DATA_HOME": str(folder),
            "BILLING_HOST": HOST,
            "BILLING_UPSTREAM": f"127.0.0.1:{urlsplit(app.url).port}",
        }
        arguments = ["--config", str(file), "--adapter", "caddyfile"]
        checked = subprocess.run(
            [caddy, "validate", *arguments], env=environment, capture_output=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
        process = subprocess.Popen(
            [caddy, "run", *arguments], env=environment, stderr=subprocess.DEVNULL
        )
        try:
            root = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
            found = Site(app, f"https://{HOST}:{port}", CertificateFiles(root, root))
            _wait_for(found, root)
            yield found
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(site: Site, root: Path) -> None:
    ends_at = time.monotonic() + 60
    while True:
        try:
            if root.exists() and site.session().get(f"{site.url}/api/health", timeout=9).ok:
                return
        except requests.RequestException:
            pass
        assert time.monotonic() < ends_at, "Caddy did not start"
        time.sleep(0.1)


def test_pages_api_and_websocket_come_through(site: Site) -> None:
    visitor = site.session()
    page = visitor.get(f"{site.url}/bills", timeout=20)
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert visitor.get(f"{site.url}/api/bills/1", timeout=20).status_code == 401
    address = f"{site.url.replace('https', 'wss')}/_stcore/stream"
    with connect(address, origin=site.url, ssl=site.tls(), open_timeout=60) as socket:  # type: ignore[arg-type]
        assert socket.protocol.state.name == "OPEN"


def test_nobody_says_for_whom_they_ask_nor_sends_more_than_a_file(site: Site) -> None:
    visitor = site.session()
    spoofed = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http"}
    assert visitor.get(f"{site.url}/api/health", headers=spoofed, timeout=20).ok
    body = b"x" * 22_000_000
    answer = visitor.post(f"{site.url}/webhook/meter-reading", data=body, timeout=60)
    # Before its version 2.7 Caddy lays it on the system behind it.
    assert answer.status_code in {413, 502}


def test_the_client_is_the_one_that_caddy_sees(site: Site, database: str) -> None:
    headers = {"Authorization": "Bearer a.b.c", "X-Forwarded-For": "203.0.113.9"}
    answer = site.session().get(f"{site.url}/api/bills/1", headers=headers, timeout=20)
    assert answer.status_code == 401
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "select address from security_log where event = 'refused' order by id desc limit 1"
        ).fetchone()
    assert found == (CLIENT,)


def test_the_link_opens_a_session_in_a_cookie_for_https_alone(site: Site) -> None:
    (link,) = site.app.waited_for(re.compile(r"https://\S+/session/link\?code=\S+"))
    visitor = site.session()
    opened = visitor.get(link, allow_redirects=False, timeout=20)
    assert "Secure" in opened.headers["Set-Cookie"]
    shown = visitor.get(f"{site.url}/sign-in/first", allow_redirects=False, timeout=20)
    assert (shown.status_code, "first administrator" in shown.text) == (200, True)
