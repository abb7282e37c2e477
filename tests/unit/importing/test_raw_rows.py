"""Files as accountants send them: encodings, separators, titles, merged headings, workbooks."""

import io
import zipfile
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pytest
import xlsxwriter

from services.importing.report import ImportProblem
from services.importing.rows import customer_row
from services.importing.source import Source, UnreadableFile
from services.importing.table import Table, read_table
from services.importing.workbook_reader import MOST_COLUMNS, MOST_PARTS, MOST_UNPACKED

WANTED = ("account_no", "name", "address")
ROW = {"account_no": "A-1", "name": "Café Núñez", "address": "12 Canal Road"}
PLAIN = "account_no,name,address\nA-1,Café Núñez,12 Canal Road\n"


def read(source: Source, **said: Any) -> tuple[list[dict[str, str]], Table]:
    table = read_table(source, required=WANTED, **said)
    rows = [dict(cells.values) for cells in table.rows()]
    return rows, table


def problems_of(source: Source, **said: Any) -> list[str]:
    try:
        _, table = read(source, **said)
    except UnreadableFile as error:
        return [str(error.problem)]
    return [str(problem) for problem in table.problems]


def workbook(*rows: Sequence[object], merged: str = "", sheets: Sequence[str] = ()) -> bytes:
    """An XLSX with these rows; dates are cells of that kind, and None is no cell."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet("Customers")
        day = book.add_format({"num_format": "dd/mm/yyyy"})
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, date):
                    sheet.write_datetime(number, column, value, day)
                elif value is not None:
                    sheet.write(number, column, value)
        if merged:
            sheet.merge_range(merged, "")
        for name in sheets:
            book.add_worksheet(name).write(0, 0, "x")
    return out.getvalue()


ODS = """<?xml version="1.0" encoding="UTF-8"?><office:document-content
 xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" office:version="1.3">
 <office:body><office:spreadsheet><table:table table:name="Sheet1">{rows}</table:table>
 </office:spreadsheet></office:body></office:document-content>"""


def ods(*rows: Sequence[str], attribute: str = "") -> bytes:
    """An OpenDocument sheet of texts; `attribute` goes to each cell."""
    cells = (
        "".join(
            f'<table:table-cell office:value-type="string" {attribute}><text:p>{cell}</text:p>'
            "</table:table-cell>"
            for cell in row
        )
        for row in rows
    )
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in cells)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", ODS.format(rows=body))
        archive.writestr(
            "META-INF/manifest.xml",
            "<manifest:manifest xmlns:manifest="
            '"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><manifest:file-entry '
            'manifest:full-path="/" manifest:media-type='
            '"application/vnd.oasis.opendocument.spreadsheet"/></manifest:manifest>',
        )
    return out.getvalue()


@pytest.mark.parametrize(
    "source",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.encode("cp1252"),
        PLAIN.replace(",", ";").encode(),
        PLAIN.replace(",", "\t").encode("utf-16"),
        PLAIN.replace(",", "|").encode(),
        ("sep=;\n" + PLAIN.replace(",", ";")).encode(),
        ("Customers, as of March, 2026\n\n" + PLAIN.replace(",", ";")).encode(),
        ("Green Valley Power\nCustomer list\n,,\n" + PLAIN).encode(),
        PLAIN.replace("Road", "Road  ").replace("A-1", " A-1 ").encode(),
        (PLAIN.replace("\n", ",,,\n") + ",,,,,\n\n").encode(),
        PLAIN.replace("account_no,name,address", "Account No.,Customer Name,ADDRESS ").encode(),
        PLAIN.replace("account_no", "Consumer Number").encode(),
        PLAIN.replace("account_no", '"Account\nnumber"').encode(),
        (",Details,\n" + PLAIN).encode(),
        workbook(list(ROW), list(ROW.values())),
        workbook(["Green Valley Power"], [], list(ROW), [], list(ROW.values())),
        workbook([None, None], [None, *ROW], [None, *ROW.values()]),
        ods(list(ROW), list(ROW.values())),
    ],
    ids=range(22),
)
def test_a_table_is_found_however_it_is_kept(source: bytes) -> None:
    rows, table = read(source)
    assert [{name: row[name] for name in WANTED} for row in rows] == [ROW]
    assert table.problems == []


def test_headings_merged_over_two_rows_are_put_together() -> None:
    rows, table = read(
        workbook(
            ["Customer list"],
            ["Account no", "Name", "Contact", None],
            [None, None, "Phone", "Address"],
            ["A-1", "Café Núñez", "123", "12 Canal Road"],
            merged="C2:D2",
        )
    )
    assert table.header.row == 3
    assert rows[0] | ROW == rows[0]


def test_an_encoding_that_was_guessed_is_said() -> None:
    _, table = read(PLAIN.encode("cp1252"))
    assert "read as Windows-1252" in table.remarks[0]
    assert read(PLAIN.encode())[1].remarks == ()


def test_further_sheets_that_are_left_out_are_named() -> None:
    _, table = read(workbook(list(ROW), list(ROW.values()), sheets=["Notes", "2025"]))
    assert table.remarks == ("Read from the sheet Customers; left out: Notes, 2025.",)


def test_what_a_workbook_holds_as_number_or_date_is_certain() -> None:
    source = workbook(
        ["meter", "kwh", "read_at", "note"],
        [1001, 1.117, date(2026, 3, 4), True],
        [1001, 0.1 + 0.2, datetime.fromisoformat("2026-03-04T09:30"), "1.117"],
        [919876543210, 1117, date(2026, 4, 3), "x"],
    )
    table = read_table(
        source, required=("meter", "kwh", "read_at"), numbers=("kwh",), dates=("read_at",)
    )
    assert [tuple(cells.values.values())[:3] for cells in table.rows()] == [
        ("1001", "1.117", "2026-03-04"),
        ("1001", "0.3", "2026-03-04T09:30:00"),
        ("919876543210", "1117", "2026-04-03"),
    ]
    assert not table.problems


def test_a_number_whose_digits_a_workbook_lost_is_no_identifier() -> None:
    table = read_table(workbook(["serial", "b"], [12345678901234567890, 1]), required=("serial",))
    for cells in table.rows():
        cells.identifier("serial")
    assert "its last digits are lost" in table.problems[0].message


@pytest.mark.parametrize(
    "total", ["Total,,", "TOTAL: 3 customers,,", "Grand total,,", "sum,,", ",Totals,", "Total"]
)
def test_a_total_at_the_end_is_named_and_not_taken_for_a_customer(total: str) -> None:
    rows, table = read(PLAIN + total + "\n")
    assert len(rows) == 1
    assert "row 3: looks like a total" in str(table.problems[0])


def test_who_is_called_like_a_total_is_a_customer() -> None:
    rows, table = read("account_no,name,address\nA-1,Total Energies,1 Hill Road\n")
    assert rows[0]["name"] == "Total Energies"
    assert not table.problems


def test_the_lines_of_an_address_become_one() -> None:
    table = read_table(
        'account_no,name,email,phone,address\nA-1,x,,,"12 Canal Road,\nWard 1\r\n\r\nKochi\n"\n',
        required=("account_no",),
        optional=("name", "email", "phone", "address"),
    )
    rows = [customer_row(cells) for cells in table.rows()]
    assert rows[0]["address"] == "12 Canal Road, Ward 1, Kochi"
    assert not table.problems


def test_a_line_break_in_a_name_is_refused() -> None:
    problems: list[ImportProblem] = []
    table = read_table('account_no,name\nA-1,"x\ny"\n', required=("account_no", "name"))
    table.problems = problems
    for cells in table.rows():
        cells.text("name")
    assert "holds a line break" in problems[0].message


def test_an_own_heading_is_named_and_can_be_said() -> None:
    source = "Kontonummer,name,address,Zone\nA-1,Café Núñez,12 Canal Road,4\n"
    said = "It must name account_no, name, address. Of other names it has Kontonummer, Zone."
    assert problems_of(source) == [f"The header lacks the column account_no. {said}"]
    rows, table = read(source, said={"kontonummer": "account_no", "zone": ""})
    assert rows[0] | ROW == rows[0]
    assert table.ignored == ("zone",)


def test_a_value_that_is_called_like_a_column_is_no_header() -> None:
    source = "Konto,Kunde,Ort\nA-1,Ann,Kochi\nA-2,Client,Kochi\n"
    said = problems_of(source)[0]
    assert "Of other names it has Konto, Kunde, Ort." in said


def test_what_was_said_comes_before_what_is_usual() -> None:
    source = "account_no,customer,name,address\nA-1,Café Núñez,Shop,12 Canal Road\n"
    rows, _ = read(source, said={"customer": "name", "name": ""})
    assert rows[0]["account_no"] == "A-1"


def test_two_headings_for_one_column_are_refused() -> None:
    assert problems_of("account_no,Account No,name,address\n1,2,3,4\n") == [
        "The header names account_no twice."
    ]


# -- limits ---------------------------------------------------------------------------------------


def zip_of(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_a_zip_bomb_is_refused() -> None:
    assert (
        "unpacks to more than 500 MB"
        in problems_of(zip_of(**{"xl/a.xml": bytes(MOST_UNPACKED + 1)}))[0]
    )


def test_a_zip_bomb_that_lies_about_its_size_is_refused() -> None:
    data = bytearray(zip_of(**{"xl/a.xml": bytes(50_000_000)}))
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(mark) + place
        data[start : start + 4] = (1000).to_bytes(4, "little")
    assert "damaged" in problems_of(bytes(data))[0]


def test_a_zip_of_very_many_parts_is_refused() -> None:
    many = {f"{n}": b"" for n in range(MOST_PARTS + 1)}
    assert "unpacks to more than" in problems_of(zip_of(**many))[0]


def test_a_cell_in_the_last_corner_is_refused() -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "account_no")
        sheet.write(1_048_575, 16_383, "x")
    said = problems_of(out.getvalue())[0]
    assert "takes more memory than any table" in said or "reaches to row" in said


def test_too_many_columns_and_rows_are_refused() -> None:
    wide = workbook(["x"] * (MOST_COLUMNS + 1))
    assert "at most 500,000 rows and 200 columns are read" in problems_of(wide)[0]
    long = ods(["x"], attribute='table:number-columns-repeated="1000"')
    assert "reaches to row 1 and column 1,000" in problems_of(long)[0]


def test_a_cell_repeated_a_billion_times_is_refused() -> None:
    said = problems_of(ods(["x"], attribute='table:number-columns-repeated="1000000000"'))[0]
    assert "takes more" in said or "reaches to row" in said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04 and nothing more", "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "password or the old format XLS"),
        (zip_of(**{"word/document.xml": b"<x/>"}), "cannot be read"),
        (workbook(), "no cells"),
        (workbook(["x"])[:-200], "damaged"),
    ],
)
def test_what_is_no_table_is_refused_with_the_way_out(data: bytes, said: str) -> None:
    assert said in problems_of(data)[0]
