"""The Settings page and the first run, in a browser: at a desk and on a phone."""

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import FilePayload, Page, expect
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

from tests.command import run_command
from tests.ui.app_process import AppProcess, settled
from tests.ui.conftest import SignIn
from tests.ui.walking import SIZES, Walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LOGO_SIZE = (300, 100)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PNG_NAME = "logo.png"


def logo() -> bytes:
    image = Image.new("RGB", LOGO_SIZE, "white")
    ImageDraw.Draw(image).ellipse((10, 10, 90, 90), fill="teal")
    written = io.BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def upload(walk: Walk, name: str, kind: str, content: bytes) -> None:
    file = FilePayload(name=name, mimeType=kind, buffer=content)
    walk.main.locator("input[type=file]").set_input_files(files=[file])
    settled(walk.page)
    walk.clicks += 1


def save(walk: Walk) -> None:
    walk.click(walk.main.get_by_role("button", name="Save").first)


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    return app_server({"DUE_DAYS": "12"})


def pdf_of_the_bill(walk: Walk) -> bytes:
    """The PDF of the one bill that there is."""
    walk.open("bills")
    walk.main.get_by_role("link", name="INV-000001").first.click()
    settled(walk.page)
    with walk.page.expect_download() as downloaded:
        walk.main.get_by_role("button", name="Bill as PDF").click()
    return Path(downloaded.value.path()).read_bytes()


@SIZES
def test_name_and_logo_are_seen_on_pages_and_printed_on_a_new_bill(
    walk: Walk, size: tuple[int, int]
) -> None:
    name = f"Hill Power {size[0]}"
    walk.open("settings")
    walk.fill("Name", name)
    walk.fill("Phone", "+91 484 123 456")
    save(walk)
    expect(walk.main.get_by_text("The settings are saved.")).to_be_visible()
    upload(walk, PNG_NAME, "image/png", logo())
    walk.click(walk.main.get_by_role("button", name="Use this logo"))
    shown = walk.main.locator("[data-testid=stImage] img, [data-testid=stImageContainer] img")
    expect(shown.first).to_be_visible()
    walk.done("task 1 · name, phone and logo")
    walk.open("overview")
    expect(walk.page).to_have_title(re.compile(name))
    # A desk shows it in the menu, a phone above the page.
    ways = "[data-testid=stSidebarLogo]:visible, [data-testid=stHeaderLogo]:visible"
    expect(walk.page.locator(ways)).to_have_count(1)
    assert walk.fits()
    walk.open("settings?view=Changes")
    expect(walk.main.get_by_text(name).first).to_be_visible()
    assert walk.fits()


@SIZES
def test_what_cannot_be_stored_is_refused_in_a_sentence(walk: Walk, tmp_path: Path) -> None:
    walk.open("settings")
    walk.fill("Name", "")
    walk.fill("E-mail", "office")
    save(walk)
    expect(walk.main.get_by_text("The name must have 1 to 100 characters")).to_be_visible()
    expect(walk.main.get_by_text("office@example.org")).to_be_visible()
    # What was typed stays, to be mended.
    expect(walk.main.get_by_label("E-mail", exact=True)).to_have_value("office")
    upload(walk, "logo.svg", "image/svg+xml", SVG)
    walk.click(walk.main.get_by_role("button", name="Use this logo"))
    expect(walk.main.get_by_text("An SVG may hold scripts")).to_be_visible()
    assert walk.fits()
    walk.open("settings")
    upload(walk, PNG_NAME, "image/png", SVG)
    walk.click(walk.main.get_by_role("button", name="Use this logo"))
    expect(walk.main.get_by_text("This file is not a PNG image.")).to_be_visible()
    walk.open("settings")
    # From a file: the test would send its bytes to the browser as one long text.
    large = tmp_path / PNG_NAME
    large.write_bytes(bytes(30 * 1024 * 1024))
    walk.main.locator("input[type=file]").set_input_files(large)
    settled(walk.page)
    expect(walk.main.get_by_text(re.compile(r"must be .*2.*MB or smaller"))).to_be_visible()
    expect(walk.main.get_by_role("button", name="Use this logo")).to_have_count(0)


@SIZES
def test_what_the_environment_sets_names_its_variable_and_cannot_be_edited(
    walk: Walk, size: tuple[int, int]
) -> None:
    walk.open("settings?view=Billing")
    expect(walk.main.get_by_text("DUE_DAYS")).to_be_visible()
    expect(walk.main.get_by_label("Days until due")).to_be_disabled()
    walk.click(walk.main.get_by_text("Every bill is a draft until"))
    save(walk)
    expect(walk.main.get_by_text("The settings are saved.")).to_be_visible()
    assert walk.fits()
    walk.open("drafts")
    expect(walk.main.get_by_text("went wrong")).to_have_count(0)
    walk.open("settings?view=Billing")
    walk.click(walk.main.get_by_text("Every bill is a draft until"))
    save(walk)
    walk.open("settings?view=Fees")
    amount = f"{size[0]}.50"
    walk.fill("Reconnection (INR)", amount)
    save(walk)
    expect(walk.main.get_by_text("The settings are saved.")).to_be_visible()
    walk.open("settings?view=Fees")
    expect(walk.main.get_by_label("Reconnection (INR)")).to_have_value(amount)
    assert walk.fits()


@SIZES
def test_a_new_utility_is_led_from_nothing_to_its_first_bill(
    app_server: Callable[..., AppProcess],
    page_at: Callable[..., Page],
    sign_in_as: SignIn,
    size: tuple[int, int],
    tmp_path: Path,
) -> None:
    app = app_server({"DEMO": "off"})
    page = page_at(*size)
    sign_in_as(page, app, "Administrator")
    walk = Walk(page, app)

    def steps_done(number: int) -> None:
        walk.open("overview")
        expect(walk.main.get_by_text(f"First steps · {number} of 4 done")).to_be_visible()
        expect(walk.main.get_by_text("Nothing needs you")).to_have_count(0)
        assert walk.fits()
        walk.begin()

    steps_done(0)
    give_name_and_logo(walk)
    walk.done("task 1 · first step, name and logo")
    steps_done(1)
    publish_tariff(walk)
    walk.done("task 1 · second step, a tariff")
    steps_done(2)
    bring_in(app, tmp_path)
    steps_done(3)
    submit_reading(walk)
    walk.done("task 1 · last step, the first reading")
    walk.open("overview")
    expect(walk.main.get_by_text("First steps")).to_have_count(0)
    expect(walk.main.get_by_text("Nothing needs you just now.")).to_be_visible()
    pdf = pdf_of_the_bill(walk)
    assert "Hill Power" in text_of(pdf)
    assert LOGO_SIZE in images_in(pdf)


def give_name_and_logo(walk: Walk) -> None:
    walk.click(walk.main.get_by_role("link", name="Give your name"))
    walk.fill("Name", "Hill Power")
    save(walk)
    upload(walk, PNG_NAME, "image/png", logo())
    walk.click(walk.main.get_by_role("button", name="Use this logo"))


def publish_tariff(walk: Walk) -> None:
    walk.click(walk.main.get_by_role("link", name="Add a tariff"))
    walk.click(walk.main.get_by_role("button", name="Slabs with fixed charge and tax"))
    walk.fill("Code", "HOMES")
    walk.click(walk.main.get_by_role("button", name="Publish"))
    walk.click(walk.page.get_by_role("button", name="Yes, publish it"))
    walk.page.wait_for_url("**/tariff?*")


def submit_reading(walk: Walk) -> None:
    walk.click(walk.main.get_by_role("link", name="Submit the first reading"))
    walk.click(walk.main.get_by_role("button", name="Read", exact=True))
    # Leaving the field would open the calendar of the next one.
    walk.main.get_by_label("Reading (kWh)").fill("1117")
    walk.fields += 1
    walk.click(walk.main.get_by_role("button", name="Submit reading"))
    expect(walk.main.get_by_text("is stored and billed")).to_be_visible()
    settled(walk.page)


def bring_in(app: AppProcess, folder: Path) -> None:
    """A customer and a meter that was connected 31 days ago, from files."""
    opened = (datetime.now(UTC) - timedelta(days=31)).date().isoformat()
    files = {
        "customers": "account_no,name,email,phone,address\nA-1,Asha,,,1 Hill Road\n",
        "meters": "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on\n"
        f"M-1,A-1,HOMES,manual,5,1,1000,{opened}\n",
    }
    for what, text in files.items():
        file = folder / f"{what}.csv"
        file.write_text(text, encoding="utf-8")
        environment = {"DATA_DIR": str(app.data_dir), "DEMO": "off"}
        done = run_command("import", what, str(file), environment=environment)
        assert done.returncode == 0, done.stderr


def text_of(pdf: bytes) -> str:
    with pdfium.PdfDocument(pdf) as document:
        return " ".join(document[0].get_textpage().get_text_range().split())


def images_in(pdf: bytes) -> list[tuple[int, int]]:
    with pdfium.PdfDocument(pdf) as document:
        found = document[0].get_objects(filter=(FPDF_PAGEOBJ_IMAGE,))
        return [one.get_px_size() for one in found]
