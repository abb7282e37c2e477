"""HTTPS by a certificate of the app's own, on every network of the machine."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from services.web.certificate import CertificateFiles
from tests.folders import enterable_folder
from tests.integration.deploy.proxied import HOST, site_files
from tests.servers import NewDatabase
from tests.ui.app_process import AppProcess, start_app

PATIENT_SECONDS = 90
Start = Callable[..., AppProcess]


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[int, CertificateFiles]]:
    with site_files() as found:
        yield found


@pytest.fixture
def start(place: tuple[int, CertificateFiles], fresh_database: NewDatabase) -> Iterator[Start]:
    port, files = place
    own = {
        "DEMO": "off",
        "DATABASE_URL": fresh_database(),
        "PUBLIC_URL": f"https://{HOST}:{port}",
        "STREAMLIT_SERVER_PORT": str(port),
        "STREAMLIT_SERVER_ADDRESS": "0.0.0.0",
        "STREAMLIT_SERVER_SSL_CERT_FILE": str(files.certificate),
        "STREAMLIT_SERVER_SSL_KEY_FILE": str(files.key),
    }
    started: list[AppProcess] = []
    with contextmanager(enterable_folder)() as folder:

        def make() -> AppProcess:
            started.append(start_app(folder=folder, environment=own, wait=False))
            return started[-1]

        yield make
        assert all(app.process.poll() is not None or app.stop() for app in started)


def test_browsers_are_answered_under_the_public_address_alone(
    place: tuple[int, CertificateFiles], start: Start
) -> None:
    (port, files), app = place, start()
    url = f"https://{HOST}:{port}"
    answer = answered(f"{url}/api/health", files, app)
    assert answer.json()["services"]["https"] == "certificate"
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    log = app.log()
    assert "It is reached with HTTPS by the certificate" in log
    assert "The certificate ends on" in log
    away = requests.get(
        url,
        headers={"Host": "evil.example"},
        verify=str(files.certificate),
        allow_redirects=False,
        timeout=20,
    )
    assert (away.status_code, away.headers["Location"]) == (307, f"{url}/")


def test_a_key_that_everybody_may_read_is_refused(
    place: tuple[int, CertificateFiles], start: Start
) -> None:
    place[1].key.chmod(0o644)
    try:
        app = start()
        assert app.process.wait(timeout=PATIENT_SECONDS) != 0
    finally:
        place[1].key.chmod(0o600)
    assert "is open to every user of this machine. Run `chmod o=" in app.log()
    assert "Traceback" not in app.log()


def test_a_file_that_is_not_there_is_refused_in_one_sentence(
    place: tuple[int, CertificateFiles], start: Start
) -> None:
    key = place[1].key
    key.rename(key.with_suffix(".away"))
    try:
        app = start()
        assert app.process.wait(timeout=PATIENT_SECONDS) == 1
    finally:
        key.with_suffix(".away").rename(key)
    (line,) = app.log().splitlines()
    assert line.startswith(f"The key {key} does not exist. Put it there, or correct STREAMLIT_")


def answered(url: str, files: CertificateFiles, app: AppProcess) -> requests.Response:
    ends_at = time.monotonic() + PATIENT_SECONDS
    while True:
        try:
            return requests.get(url, verify=str(files.certificate), timeout=20)
        # The socket takes connections before anybody answers.
        except (requests.ConnectionError, requests.Timeout):
            assert app.process.poll() is None, app.log()
            assert time.monotonic() < ends_at, app.log()
            time.sleep(0.2)
