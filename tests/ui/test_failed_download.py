"""A file that cannot be made is said in a sentence, and made when it is asked for again."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from services.settings import PROJECT_FOLDER
from tests.ui.app_process import free_port, settled
from tests.ui.walking import SIZES

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SCRIPT = """
import time
from pathlib import Path

import streamlit as st

from pages.shared import download
from pages.shared.download import download_button

# Nobody signs in here.
download.while_signed_in = lambda make: make

def make():
    time.sleep(0.5)
    if not Path({there!r}).exists():
        raise MemoryError("too many rows")
    return b"a,b\\n"

with st.popover("Export"):
    download_button(
        "CSV", make, file_name="list.csv", mime="text/csv", key="export", width="stretch"
    )
"""


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """What must be there for the file to be made."""
    return tmp_path / "there"


@pytest.fixture
def url(tmp_path: Path, there: Path) -> Iterator[str]:
    """A page with nothing but the button, served by Streamlit."""
    script, port = tmp_path / "page.py", free_port()
    script.write_text(SCRIPT.format(there=str(there)))
    options = ("--server.headless=true", f"--server.port={port}", "--server.address=127.0.0.1")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_FOLDER)}
    with subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", str(script), *options],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                requests.get(f"{url}/_stcore/health", timeout=1).raise_for_status()
                break
            except requests.RequestException:
                time.sleep(0.1)
        yield url
        process.terminate()


@SIZES
def test_a_sentence_stands_below_the_button_until_it_works(
    url: str, there: Path, page_at: Callable[..., Page], size: tuple[int, int], tmp_path: Path
) -> None:
    page = page_at(*size)
    page.goto(url)
    settled(page)
    page.get_by_role("button", name="Export").click()
    button = page.get_by_test_id("stPopoverBody").get_by_role("button", name="CSV")
    button.click()
    said = page.get_by_text("The file could not be made. Press the button again")
    expect(said).to_be_visible()
    expect(page.get_by_text("Failed to generate file")).to_be_hidden()
    page.screenshot(path=tmp_path / f"failed-{size[0]}.png")
    there.touch()
    with page.expect_download() as waiting:
        button.click()
    assert waiting.value.suggested_filename == "list.csv"
    expect(said).to_be_hidden()
