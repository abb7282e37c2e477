"""An import walked in a browser: own columns, own names; then again with a change."""

import io
import re
from collections.abc import Callable, Sequence
from datetime import date

import pytest
import xlsxwriter
from playwright.sync_api import expect

from tests.ui.app_process import AppProcess, settled
from tests.ui.walking import PHONE, SIZES, Walk

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SERIAL = "M-103"


@pytest.fixture(scope="module")
def app(app_server: Callable[..., AppProcess]) -> AppProcess:
    """The demo, whose customers stay beside those that are imported."""
    return app_server()


def workbook(*rows: Sequence[object]) -> bytes:
    """Below a title, as an office keeps it."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet("Kunden")
        sheet.write(0, 0, "Green Valley Power, list of customers")
        for number, row in enumerate(rows, start=2):
            for column, value in enumerate(row):
                sheet.write(number, column, value)
    return out.getvalue()


def choose_file(walk: Walk, content: bytes, name: str = "customers.xlsx") -> None:
    walk.main.locator("input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )
    walk.fields += 1
    walk.main.get_by_text("First rows").or_(walk.main.get_by_text("Say once")).or_(
        walk.main.get_by_test_id("stAlertContentError")
    ).or_(walk.main.get_by_test_id("stAlertContentInfo")).first.wait_for()
    settled(walk.page)


def open_import(walk: Walk) -> None:
    walk.open("overview")
    walk.begin()
    walk.by_menu("Import")
    expect(walk.main.get_by_role("heading", name="Import")).to_be_visible()


@SIZES
def test_an_own_spreadsheet_is_imported_and_then_its_changes(
    walk: Walk, size: tuple[int, int]
) -> None:
    n = size[0]
    head = [f"Konto {n}", f"Kunde {n}", "Mobile No.", f"Straße {n}"]
    rows = [[f"GV-{n}-{i}", f"Haus {i}", "", f"{i} Hill Road\nWard {i}"] for i in range(1, 4)]
    open_import(walk)
    choose_file(walk, workbook(head, *rows))
    expect(walk.main.get_by_text("No column of the file is called like")).to_be_visible()
    walk.choose("Account number *", head[0])
    walk.choose("Name *", head[1])
    walk.choose("Address", head[3])
    walk.click(walk.main.get_by_role("button", name="Use these columns"))
    added = walk.main.get_by_test_id("stMetric").filter(has_text="To be added")
    expect(added.get_by_test_id("stMetricValue")).to_have_text("3")
    walk.click(walk.main.get_by_role("button", name="Import: add 3, change 0"))
    expect(walk.main.get_by_text("3 added, 0 changed, 0 unchanged.")).to_be_visible()
    walk.done("task 3 · customers from an own spreadsheet")

    rows[1][1], rows[1][3] = "Haus Zwei", "2 Mill Lane"
    choose_file(walk, workbook(head, *rows, [f"GV-{n}-4", "Haus 4", "", ""]))
    changes = walk.main.get_by_test_id("stTable").filter(has_text="Before")
    expect(changes).to_contain_text("Haus 2")
    expect(changes).to_contain_text("Haus Zwei")
    expect(changes).to_contain_text("2 Hill Road, Ward 2")
    expect(changes).to_contain_text("2 Mill Lane")
    walk.click(walk.main.get_by_role("button", name="Import: add 1, change 1"))
    expect(walk.main.get_by_text("1 added, 1 changed, 2 unchanged.")).to_be_visible()
    walk.done("task 3 · the same spreadsheet with changes")

    choose_file(walk, workbook(head, *rows))
    expect(walk.main.get_by_text("there is nothing to import")).to_be_visible()


@SIZES
def test_what_is_wrong_is_said_by_row_and_nothing_is_imported(walk: Walk) -> None:
    open_import(walk)
    text = "account_no,name,email\nW-1,Ann,\nW-2,,nobody\nTotal,,\n"
    choose_file(walk, text.encode(), "customers.csv")
    wrong = walk.main.get_by_test_id("stTable")
    expect(walk.main.get_by_text("3 problems; nothing was imported.")).to_be_visible()
    expect(wrong).to_contain_text("is empty: fill it in.")
    expect(wrong).to_contain_text("looks like a total")
    expect(walk.main.get_by_role("button", name="Import: add")).to_have_count(0)
    choose_file(walk, b"PK\x03\x04 is no workbook", "x.xlsx")
    expect(walk.main.get_by_text("The workbook is damaged.")).to_be_visible()
    walk.done("task 3 · a wrong file")


@pytest.mark.parametrize("size", [PHONE], ids=["phone"])
def test_a_file_that_leaves_dates_open_is_asked_about_once(walk: Walk) -> None:
    open_import(walk)
    choose_file(walk, b"account_no;name\nD-1;Ann\n", "customers.csv")
    walk.click(walk.main.get_by_role("button", name="Import: add 1"))
    day = date.today().replace(day=3, month=1)  # noqa: DTZ011 - any recent date
    walk.choose("What is in the file", "Meters")
    text = (
        "Meter No;Consumer No;Tariff;Type;Digits;MF;Initial reading;Installed on\n"
        f"D-M1;D-1;KSEB-LT1A;manual;5;1;1.117;02/{day:%m/%Y}\n"
    )
    choose_file(walk, text.encode(), "meters.csv")
    walk.click(walk.main.get_by_text("Day first"))
    walk.click(walk.main.get_by_text("1.117,5 (comma)"))
    expect(walk.main.get_by_role("button", name="Import: add 1")).to_be_visible()
    walk.done("task 3 · a file of meters with open dates and numbers")


@SIZES
def test_files_of_the_trade_say_what_they_are_and_what_they_change(
    walk: Walk, size: tuple[int, int]
) -> None:
    open_import(walk)
    walk.choose("What is in the file", "Interval data")
    values = ",".join(["0.5"] * 48)
    head = "100,NEM12,202601010000,MDA,RET\n200,NMI,E1,1,E1,,{},kWh,30,\n"
    days = "".join(f"300,202601{day:02},{values},A,,,,\n" for day in (5, size[0] % 9 + 10))
    text = (head + days + "400,1,12,S14,,\n900\n").format(SERIAL)
    choose_file(walk, text.replace(SERIAL, "X-404").encode(), "readings.csv")
    expect(walk.main.get_by_text("No meter has the serial X-404.")).to_be_visible()
    choose_file(walk, text.replace(",0.5", ",x", 1).encode(), "readings.csv")
    expect(walk.main.get_by_text("interval 1 is 'x'")).to_be_visible()
    choose_file(walk, text.encode(), "readings.csv")
    walk.says("Read as NEM12")
    walk.says("12 estimated by interpolation.")
    walk.says("local days are not whole in the file")
    walk.picture("interval data from NEM12")
    walk.click(walk.main.get_by_role("button", name=re.compile("Import: add")))
    walk.says(re.compile("Interval data: [0-9]+ added"))
    changed = text.replace("0.5,0.5", "0.5,0.9", 1)
    choose_file(walk, changed.encode(), "readings.csv")
    changes = walk.main.get_by_test_id("stTable").filter(has_text="Before")
    expect(changes).to_contain_text("1 value differs")
    walk.done("interval data that changes")
