"""No export runs in a spreadsheet, all open in Excel with their letters, imports take them."""

import ast
import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from services.importing.table import read_table
from services.quantities import spreadsheet
from services.quantities.money import Money
from services.quantities.spreadsheet import as_written, csv_file, csv_pieces, harmless
from services.settings import PROJECT_FOLDER

RISKY = [
    "=cmd|'/c calc'!A0",
    "+1234",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    " =1+1",
    "＝1+1",
    "'=1+1",
    "''=1+1",
]


@pytest.mark.parametrize("text", RISKY)
def test_a_formula_is_written_as_text_and_comes_back_as_it_was(text: str) -> None:
    assert harmless(text) == f"'{text}"
    assert as_written(harmless(text)) == text


@pytest.mark.parametrize("text", ["", "A-1", "O'Hara", "'quoted'", "-5", "-59.65", "日本語", "'"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert harmless(text) == text
    assert as_written(text) == text


def test_a_file_has_the_mark_by_which_excel_knows_utf_8() -> None:
    rows = [("Zoë", Money(-5965, "INR"), -3, date(2026, 11, 1), "=1+1")]
    data = csv_file(("name", "amount", "change", "on", "note"), rows)
    assert data.startswith(b"\xef\xbb\xbfname,")
    assert data.decode("utf-8-sig").splitlines()[1] == "Zoë,-59.65,-3,2026-11-01,'=1+1"


@pytest.mark.parametrize("number", [0, 1, 999, 1_000, 1_001, 3_000])
def test_a_file_in_pieces_has_each_row_once(number: int) -> None:
    pieces = list(csv_pieces(("n", "name"), ((n, f"Zoë {n}") for n in range(number))))
    assert len(pieces) == number // 1_000 + 1
    header, *rows = b"".join(pieces).decode("utf-8-sig").splitlines()
    assert (header, rows) == ("n,name", [f"{n},Zoë {n}" for n in range(number)])
    assert b"\xef\xbb\xbf" not in b"".join(pieces)[3:]


def test_rows_are_asked_for_as_pieces_are_taken() -> None:
    asked: list[int] = []

    def rows() -> Iterator[tuple[int]]:
        for n in range(5_000):
            asked.append(n)
            yield (n,)

    pieces = csv_pieces(("n",), rows())
    next(pieces)
    assert len(asked) == 1_000


def test_our_imports_take_an_export_back() -> None:
    values = [text.strip() for text in RISKY if text.strip() == text]
    table = read_table(
        csv_file(("account_no", "name"), [(f"A{n}", text) for n, text in enumerate(values)]),
        required=("account_no", "name"),
    )
    assert [row.values["name"] for row in table.rows()] == values
    assert not table.problems


def test_nothing_else_writes_csv() -> None:
    """Except the demo, which writes what our own import reads at once."""
    allowed = {"services/quantities/spreadsheet.py", "services/demo/load.py"}
    places = [*PROJECT_FOLDER.glob("services/**/*.py"), *PROJECT_FOLDER.glob("pages/**/*.py")]
    found = {str(path.relative_to(PROJECT_FOLDER)) for path in places if _writes_csv(path)}
    assert found == allowed


def _writes_csv(path: Path) -> bool:
    names = {"writer", "DictWriter", "to_csv"}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in names
        and (node.attr == "to_csv" or (isinstance(node.value, ast.Name) and node.value.id == "csv"))
        for node in ast.walk(tree)
    )


def test_what_a_sheet_has_no_room_for_goes_on_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "ROWS_OF_A_SHEET", 2)
    out = io.BytesIO()
    rows = [(n, Money(n, "KWD")) for n in range(5)]
    assert spreadsheet.write_xlsx(out, ("n", "amount"), rows, name="page") == 5
    out.seek(0)
    book = CalamineWorkbook.from_filelike(out)
    assert book.sheet_names == ["page1", "page2", "page3"]
    sheets = [book.get_sheet_by_name(name).to_python() for name in book.sheet_names]
    assert [len(sheet) for sheet in sheets] == [3, 3, 2]
    assert all(sheet[0] == ["n", "amount"] for sheet in sheets)
    assert sheets[2][1] == [4, 0.004]
