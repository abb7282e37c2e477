"""A bill is voided in a browser, and its credit note is read back from the file."""

import re
from collections.abc import Callable
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from playwright.sync_api import expect

from tests.ui.app_process import AppProcess, settled
from tests.ui.walking import SIZES, Walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    return app_server()


@SIZES
def test_from_the_setting_to_the_document(
    walk: Walk, size: tuple[int, int], tmp_path: Path
) -> None:
    walk.open("settings?view=Documents")
    walk.fill_in_form("Tax number", "DE136695976")
    walk.click(walk.main.get_by_text("A voided bill has a credit note"))
    walk.click(walk.main.get_by_role("button", name="Save").first)
    walk.says("The settings are saved.")
    assert walk.fits()
    walk.page.screenshot(path=tmp_path / f"settings-{size[0]}.png", full_page=True)
    walk.open("bills")
    walk.main.get_by_role("link", name=re.compile("INV-")).first.click()
    settled(walk.page)
    number = walk.main.get_by_role("heading", level=1).inner_text()
    walk.follow("Correct this bill")
    walk.view("The whole bill")
    walk.click("Show what it changes")
    walk.fill_in_form("Reason", "The meter of a neighbour")
    walk.click("Void")
    walk.says("Credit note CN-000001")
    assert walk.fits()
    walk.page.screenshot(path=tmp_path / f"bill-{size[0]}.png", full_page=True)
    with walk.page.expect_download() as downloaded:
        walk.main.get_by_role("button", name="Credit note as PDF").click()
    with pdfium.PdfDocument(Path(downloaded.value.path()).read_bytes()) as pdf:
        text = " ".join(" ".join(page.get_textpage().get_text_range().split()) for page in pdf)
    reference = re.search(r"INV-\d+", number)
    assert reference
    for said in ("CN-000001", reference[0], "The meter of a neighbour", "DE136695976"):
        assert said in text.replace("\u200b", ""), said
    walk.by_menu("Credit notes")
    expect(walk.main.get_by_text("CN-000001").first).to_be_visible()
    assert walk.fits()
