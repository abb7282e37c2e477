"""deploy/nginx.conf as it is, but for ports and files, before a real app."""

import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from services.settings import PROJECT_FOLDER
from tests.integration.deploy.proxied import CLIENT, HOST, Site, app_behind, site_files
from tests.servers import NewDatabase
from tests.ui.app_process import free_port
from tests.ui.nginx import nginx_with

CONFIGURATION = PROJECT_FOLDER / "deploy" / "nginx.conf"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def database(fresh_database: NewDatabase) -> str:
    return fresh_database()


@pytest.fixture(scope="module")
def http_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def site(database: str, http_port: int) -> Iterator[Site]:
    with site_files() as (port, files), app_behind(database, port) as app:
        text = CONFIGURATION.read_text()
        for old, new in {
            "listen 80;": f"listen 127.0.0.1:{http_port};",
            "listen [::]:80;": "",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
            "listen [::]:443 ssl http2;": "",
            "server 127.0.0.1:8501;": f"server 127.0.0.1:{urlsplit(app.url).port};",
            "/etc/letsencrypt/live/billing.example.org/fullchain.pem": str(files.certificate),
            "/etc/letsencrypt/live/billing.example.org/privkey.pem": str(files.key),
            "server_name billing.example.org;": f"server_name {HOST};",
            "/var/log/nginx/": f"{files.key.parent}/",
        }.items():
            assert old in text
            text = text.replace(old, new)
        with nginx_with(text, f"http://127.0.0.1:{http_port}/.well-known/acme-challenge/"):
            yield Site(app, f"https://{HOST}:{port}", files)


@pytest.mark.usefixtures("site")
def test_http_leads_to_https(http_port: int) -> None:
    answer = requests.get(
        f"http://{HOST}:{http_port}/bills?page=2", allow_redirects=False, timeout=9
    )
    assert (answer.status_code, answer.headers["Location"]) == (308, f"https://{HOST}/bills?page=2")


def test_the_page_comes_with_the_headers_of_an_https_site(site: Site) -> None:
    answer = site.session().get(f"{site.url}/bills", timeout=20)
    assert answer.ok
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert not re.search("[0-9]", answer.headers.get("Server", ""))


def test_the_api_and_the_round_answer(site: Site) -> None:
    visitor = site.session()
    health = visitor.get(f"{site.url}/api/health", timeout=20).json()
    assert health["services"]["https"] == "proxy"
    assert visitor.get(f"{site.url}/api/bills/1", timeout=20).status_code == 401
    assert visitor.get(f"{site.url}/round", timeout=20).ok


def test_pages_get_their_websocket_and_other_sites_do_not(site: Site) -> None:
    address = f"{site.url.replace('https', 'wss')}/_stcore/stream"
    with connect(address, origin=site.url, ssl=site.tls(), open_timeout=60) as socket:  # type: ignore[arg-type]
        assert socket.protocol.state.name == "OPEN"
    with pytest.raises(InvalidStatus):
        connect(address, origin="https://evil.example", ssl=site.tls(), open_timeout=60)  # type: ignore[arg-type]


def test_bodies_end_at_the_limits(site: Site) -> None:
    visitor = site.session()
    answer = visitor.post(
        f"{site.url}/webhook/meter-reading", data=b"x" * 23 * MEGABYTE, timeout=60
    )
    assert (answer.status_code, "nginx" in answer.text) == (413, True)
    headers = {"Content-Type": "application/json", "X-API-Key": "ebk_unknown"}
    answer = visitor.post(
        f"{site.url}/webhook/meter-reading", data=b"x" * 2 * MEGABYTE, headers=headers, timeout=60
    )
    assert answer.status_code in {401, 413}
    assert "error" in answer.json()


def test_the_client_is_the_one_that_nginx_sees(site: Site, database: str) -> None:
    headers = {"Authorization": "Bearer a.b.c", "X-Forwarded-For": "203.0.113.9"}
    assert (
        site.session().get(f"{site.url}/api/bills/1", headers=headers, timeout=20).status_code
        == 401
    )
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "select address from security_log where event = 'refused' order by id desc limit 1"
        ).fetchone()
    assert found == (CLIENT,)


def test_another_host_leads_to_the_public_address(site: Site) -> None:
    for host in ("evil.example", "127.0.0.1:8501"):
        answer = site.session().get(
            f"{site.url}/bills", headers={"Host": host}, allow_redirects=False, timeout=20
        )
        assert (answer.status_code, answer.headers["Location"]) == (307, f"{site.url}/bills")
        assert (
            site.session()
            .post(f"{site.url}/session/end", headers={"Host": host}, timeout=20)
            .status_code
            == 421
        )


def test_the_link_opens_the_first_account_and_no_role(site: Site) -> None:
    (link,) = site.app.waited_for(re.compile(r"https://\S+/session/link\?code=\S+"))
    assert link.startswith(f"{site.url}/")
    visitor = site.session()
    first = visitor.get(f"{site.url}/sign-in/first", allow_redirects=False, timeout=20)
    assert first.status_code == 303
    opened = visitor.get(link, allow_redirects=False, timeout=20)
    assert "Secure" in opened.headers["Set-Cookie"]
    shown = visitor.get(f"{site.url}/sign-in/first", allow_redirects=False, timeout=20)
    assert (shown.status_code, "first administrator" in shown.text) == (200, True)
    assert visitor.get(link, allow_redirects=False, timeout=20).headers["Location"].endswith("used")


def test_on_this_machine_programs_reach_it_without_the_proxy(site: Site) -> None:
    health = requests.get(f"{site.app.url}/api/health", timeout=20)
    assert (health.status_code, health.json()["services"]["database"]) == (200, "ok")
    away = requests.get(
        f"{site.app.url}/", headers={"Host": "evil.example"}, allow_redirects=False, timeout=20
    )
    assert away.headers["Location"] == f"{site.url}/"
    assert json.loads(requests.post(f"{site.app.url}/", headers={"Host": "x"}, timeout=9).text)
