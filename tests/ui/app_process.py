"""The whole app as a process of its own, and how a test waits for its pages."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from services.settings import PROJECT_FOLDER, Settings
from tests.command import run_command

_START_SECONDS = 90
_STOP_SECONDS = 60
_LIST_MILLISECONDS = 5_000

_QUIET_FOR_A_WHILE = """() => {
    const app = document.querySelector(".stApp");
    const idle = app?.getAttribute("data-test-script-state") === "notRunning";
    window.idleSince = idle ? (window.idleSince ?? performance.now()) : null;
    return idle && performance.now() - window.idleSince > 250;
}"""


class AppDidNotStart(Exception):
    """The app ended, or never became healthy; its log is part of the message."""


@dataclass
class AppProcess:
    """A running app: `url` has no slash at its end, `data_dir` is its DATA_DIR."""

    url: str
    data_dir: Path
    log_file: Path
    process: subprocess.Popen[bytes]

    def log(self) -> str:
        """Return all that the app has printed so far."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def waited_for(self, what: re.Pattern[str]) -> list[str]:
        """All that fits in what the app printed, once there is any; it may come after the start."""
        until = time.monotonic() + 20
        while not (found := what.findall(self.log())):
            assert time.monotonic() < until, self.log()
            time.sleep(0.1)
        return found

    def sign_in_link(self) -> str:
        """Return a new link for signing in without a password, as the command prints it."""
        return self.command("sign-in")

    def command(self, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a command on the app's data, which must succeed; what it printed."""
        done = run_command(
            *arguments, environment={"DATA_DIR": str(self.data_dir), **(environment or {})}
        )
        done.check_returncode()
        return done.stdout.strip()

    def stop(self) -> bool:
        """Ask the app to end as an operator would; return False when it had to be killed."""
        self.process.terminate()
        try:
            self.process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def kill(self) -> None:
        """End the app at once, as a power cut would; its database server stays behind."""
        self.process.kill()
        self.process.wait()


def start_app(
    *, folder: Path, environment: Mapping[str, str] | None = None, wait: bool = True
) -> AppProcess:
    """Start the app as `make run` does, with its data in `folder`/data, and wait for its health.

    The machine's own settings and `.env` do not count; `environment` is added on top. With
    `wait=False` it returns at once, for an app that is meant to refuse. Raises AppDidNotStart.
    """
    data_dir, log_file = folder / "data", folder / f"app-{time.monotonic_ns()}.log"
    port = int((environment or {}).get("STREAMLIT_SERVER_PORT", 0)) or free_port()
    unset = {name.upper(): "" for name in Settings.model_fields}
    own = {"DATA_DIR": str(data_dir), "STREAMLIT_SERVER_PORT": str(port), "PYTHONUNBUFFERED": "1"}
    # A Java each time would slow everything down; the tests of the graph switch it on.
    own["EMBEDDED_GRAPH"] = "off"
    command = [sys.executable, "-m", "services", "start"]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=PROJECT_FOLDER,
            env={**os.environ, **unset, **own, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    app = AppProcess(f"http://localhost:{port}", data_dir, log_file, process)
    if wait:
        _wait_until_healthy(app)
    return app


def settled(page: Page) -> None:
    """Wait until the page's script has not been running for a quarter of a second.

    A single look is not enough: for a moment after a click the script has not started yet.
    """
    page.evaluate("window.idleSince = null")
    page.wait_for_function(_QUIET_FOR_A_WHILE)


def choose(box: Locator, option: str | re.Pattern[str]) -> None:
    """Choose `option` in a select box, by a part of its name, and wait until the page answered.

    Its list closes by itself when the page scrolls or is drawn again, as when a message of the
    last click goes away; it is opened again then, as a person would.
    """
    page = box.page
    wanted = page.get_by_role("option", name=option).first
    for is_last in (False, False, True):
        box.scroll_into_view_if_needed()
        settled(page)
        box.click()
        try:
            wanted.click(timeout=_LIST_MILLISECONDS)
            break
        except PlaywrightTimeoutError:
            if is_last:
                raise
            page.keyboard.press("Escape")
    settled(page)


def _wait_until_healthy(app: AppProcess) -> None:
    ends_at = time.monotonic() + _START_SECONDS
    while time.monotonic() < ends_at and app.process.poll() is None:
        if _is_healthy(app.url):
            return
        time.sleep(0.1)
    app.stop()
    raise AppDidNotStart(f"The app did not become healthy. Its log:\n{app.log()}")


def _is_healthy(url: str) -> bool:
    try:
        with urlopen(f"{url}/api/health", timeout=5) as answer:  # noqa: S310 - always http
            return bool(answer.headers.get_content_type() == "application/json")
    except (URLError, OSError):
        return False


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
