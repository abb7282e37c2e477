"""The whole app as one process: it starts, refuses in a sentence, and leaves nothing behind."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import requests

from tests.ui.app_process import AppProcess, start_app

OWN = {"DEMO": "off"}
# Other files of tests, and other programs, may keep the machine busy meanwhile.
PATIENT_SECONDS = 90
Start = Callable[..., AppProcess]


@pytest.fixture
def start(data_folder: Path) -> Iterator[Start]:
    """Start the app on this test's data folder; whatever still runs at the end is stopped."""
    started: list[AppProcess] = []

    def make(environment: Mapping[str, str] = OWN, *, wait: bool = True) -> AppProcess:
        started.append(start_app(folder=data_folder, environment=environment, wait=wait))
        return started[-1]

    yield make
    for app in started:
        if app.process.poll() is None:
            assert app.stop()


def _database_runs(app: AppProcess) -> bool:
    """A Postgres that ends well takes this file away."""
    return (app.data_dir / "postgres" / "server" / "cluster" / "postmaster.pid").exists()


@pytest.mark.parametrize(
    ("ending", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 1)]
)
def test_the_app_ends_with_its_database_when_it_is_asked_to(
    start: Start, ending: signal.Signals, code: int
) -> None:
    app = start()
    services = requests.get(f"{app.url}/api/health", timeout=10).json()["services"]
    assert (services["database"], services["scheduler"]) == ("ok", "running")
    assert _database_runs(app)
    app.process.send_signal(ending)
    assert app.process.wait(timeout=PATIENT_SECONDS) == code
    assert not _database_runs(app)
    assert "Traceback" not in app.log()


def test_the_api_and_the_pages_share_a_port(start: Start) -> None:
    app = start()
    page = requests.get(f"{app.url}/submit-reading", timeout=10)
    assert page.headers["Content-Type"].startswith("text/html")
    for path, status in (("/webhook/meter-reading", 401), ("/webhook/stripe", 503)):
        answer = requests.post(f"{app.url}{path}", data=b"{}", timeout=10)
        assert answer.status_code == status
        assert set(answer.json()) == {"error"}


def test_behind_auth0_the_app_listens_beyond_loopback(start: Start) -> None:
    auth0 = {"AUTH0_DOMAIN": "tenant.example", "AUTH0_AUDIENCE": "https://billing.example/api"}
    auth0 |= {"AUTH0_CLIENT_ID": "pages", "AUTH0_CLIENT_SECRET": "hush-hush"}
    proxy = {"TRUSTED_PROXY": "127.0.0.1", "PUBLIC_URL": "https://billing.example"}
    app = start(OWN | auth0 | proxy | {"STREAMLIT_SERVER_ADDRESS": "0.0.0.0"})
    forwarded = {"X-Forwarded-For": "203.0.113.9", "Host": "billing.example"}
    answer = requests.get(f"{app.url}/api/health", headers=forwarded, timeout=10)
    states = answer.json()["services"]
    assert (states["auth0"], states["https"]) == ("configured", "proxy")
    assert "hush-hush" not in app.log() + answer.text


def test_a_second_app_on_the_data_folder_is_refused_in_a_sentence(start: Start) -> None:
    first = start()
    second = start(wait=False)
    assert second.process.wait(timeout=PATIENT_SECONDS) != 0
    assert "already used by a running app" in second.log()
    assert "Traceback" not in second.log()
    assert requests.get(f"{first.url}/api/health", timeout=10).ok


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"CURRENCY": "XXX", "DUE_DAYS": "soon"}, "CURRENCY: expected"),
        ({"STREAMLIT_SERVER_ADDRESS": "0.0.0.0"}, "Refusing to listen on 0.0.0.0"),
        ({"TRUSTED_PROXY": "127.0.0.1", "DEMO": "on"}, "Set DEMO=off"),
        ({"DATABASE_URL": "postgresql://u:hidden@127.0.0.1:1/x"}, "The database cannot be used"),
        ({"DATA_DIR": "/dev/null/data"}, "The data folder /dev/null/data cannot be used"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(
    start: Start, environment: dict[str, str], says: str
) -> None:
    app = start(OWN | environment, wait=False)
    assert app.process.wait(timeout=PATIENT_SECONDS) != 0
    assert says in app.log()
    assert "Traceback" not in app.log()
    assert "hidden" not in app.log()


def test_a_killed_database_server_is_started_again_by_itself(start: Start) -> None:
    app = start()
    pid_file = app.data_dir / "postgres" / "server" / "cluster" / "postmaster.pid"
    os.kill(int(pid_file.read_text().splitlines()[0]), signal.SIGKILL)
    ends_at = time.monotonic() + 60
    well = False
    while not well and time.monotonic() < ends_at:
        time.sleep(1)
        health = requests.get(f"{app.url}/api/health", timeout=20)
        well = health.status_code == 200
    assert well, app.log()
