"""A full export walked in a browser: made, downloaded, and what is said where it fails."""

import csv
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.ui.app_process import AppProcess
from tests.ui.walking import PHONE, SIZES, Walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    """The demo."""
    return app_server()


def open_export(walk: Walk) -> None:
    walk.open("overview")
    walk.begin()
    walk.by_menu("Export")
    expect(walk.main.get_by_role("heading", name="Export")).to_be_visible()


@SIZES
def test_an_export_is_made_and_downloaded(
    walk: Walk, app: AppProcess, size: tuple[int, int], tmp_path: Path
) -> None:
    open_export(walk)
    walk.click(walk.main.get_by_role("button", name="Make an export"))
    expect(walk.main.get_by_text("The export is made:")).to_be_visible(timeout=60_000)
    walk.page.screenshot(path=tmp_path / f"export-{size[0]}.png", full_page=True)
    link = walk.main.get_by_role("link", name="Download").first
    url = f"{app.url}{link.get_attribute('href')}"
    answer = walk.page.request.get(url)
    assert answer.status == 200
    with zipfile.ZipFile(io.BytesIO(answer.body())) as bundle:
        text = bundle.read("import/customers.csv").decode("utf-8-sig")
        assert len(list(csv.DictReader(io.StringIO(text)))) >= 60
        assert bundle.testzip() is None
    walk.done("task 39 · a full export")


@pytest.mark.parametrize("size", [PHONE], ids=["phone"])
def test_an_export_that_fails_says_so_and_leaves_the_button(
    walk: Walk, app: AppProcess, tmp_path: Path
) -> None:
    folder = app.data_dir / "exports-demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("in the way of the folder")
    try:
        open_export(walk)
        walk.click(walk.main.get_by_role("button", name="Make an export"))
        expect(walk.main.get_by_text("The export could not be made")).to_be_visible()
        walk.page.screenshot(path=tmp_path / "export-failed.png")
        expect(walk.main.get_by_role("button", name="Make an export")).to_be_enabled()
    finally:
        folder.unlink()
