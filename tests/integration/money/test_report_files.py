"""Reports as files: numbers that are numbers, text that is no formula, and every row."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from python_calamine import CalamineWorkbook

from services.identity.auth import NotAllowed
from services.languages.language import Language
from services.languages.sentence import sentence
from services.records.entries import NewAdjustment
from services.reports import catalogue
from services.reports.definitions import Asked, Report
from services.reports.reports import FileKind
from tests.integration.metered import Metered
from tests.integration.supply.supplied import FLAT
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility

OCTOBER = Asked(date(2025, 10, 1), date(2025, 11, 1))
HOSTILE = ('=HYPERLINK("http://evil","x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "plain")


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    """A bill, and credits whose reasons a spreadsheet would run."""
    made = make_utility(database, tmp_path, now=datetime(2025, 10, 5, 6, tzinfo=UTC))
    made.add_meter("M1")
    bill = made.submit("M1", 1117).bill
    assert bill is not None
    for reason in HOSTILE:
        row: dict[str, Any] = {
            "id": str(uuid4()),
            "customer_id": bill.customer_id,
            "kind": "credit",
        }
        row |= {"amount_minor": "10", "currency": "INR", "note": reason, "on_date": made.today}
        made.services.database.add_adjustment(
            actor=ADMIN.user, entry=NewAdjustment.model_validate(row)
        )
    yield made
    made.services.close()


def written(utility: Utility, report: Report, kind: FileKind) -> bytes:
    reports = utility.services.reports
    if kind == "csv":
        return b"".join(reports.csv(report, OCTOBER, principal=ADMIN))
    out = io.BytesIO()
    reports.write_xlsx(out, report, OCTOBER, principal=ADMIN)
    return out.getvalue()


def test_a_csv_has_the_same_rows_and_no_formula(utility: Utility) -> None:
    text = written(utility, catalogue.WRITE_OFFS, "csv").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["amount"] for row in rows] == ["0.10"] * len(HOSTILE)
    assert [row["reason"] for row in rows] == [
        *(f"'{reason}" for reason in HOSTILE[:-1]), "plain",
    ]  # fmt: skip


def test_a_workbook_has_numbers_dates_and_text_that_is_no_formula(utility: Utility) -> None:
    content = written(utility, catalogue.WRITE_OFFS, "xlsx")
    (sheet,) = CalamineWorkbook.from_filelike(io.BytesIO(content)).sheet_names
    head, *rows = (
        CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name(sheet).to_python()
    )
    assert head == list(catalogue.WRITE_OFFS.header)
    amount, reason = head.index("amount"), head.index("reason")
    assert [row[amount] for row in rows] == [0.1] * len(HOSTILE)
    assert [row[reason] for row in rows] == list(HOSTILE)
    assert {row[0] for row in rows} == {date(2025, 10, 5)}
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        xml = parts.read("xl/worksheets/sheet1.xml").decode()
        styles = parts.read("xl/styles.xml").decode()
    assert "<f>" not in xml
    # The digits of the amount itself, not of a float that comes near it.
    assert re.findall(r'<c r="E\d" s="\d"><v>([^<]+)</v>', xml) == ["0.10"] * len(HOSTILE)
    assert 'formatCode="#,##0.00"' in styles


@pytest.mark.parametrize("report", catalogue.REPORTS, ids=[r.id for r in catalogue.REPORTS])
def test_both_files_of_each_report_have_each_row(utility: Utility, report: Report) -> None:
    rows = list(utility.services.reports.rows(report, OCTOBER, principal=ADMIN))
    text = written(utility, report, "csv").decode("utf-8-sig")
    assert len(list(csv.reader(io.StringIO(text)))) == 1 + len(rows)
    book = CalamineWorkbook.from_filelike(io.BytesIO(written(utility, report, "xlsx")))
    assert len(book.get_sheet_by_index(0).to_python()) == 1 + len(rows)


CURRENCIES = {
    "JPY": ("234", "#,##0"),
    "INR": ("540.35", "#,##0.00"),
    "KWD": ("351.234", "#,##0.000"),
}


def test_amounts_have_the_decimals_of_their_currency(utility: Utility) -> None:
    metered = Metered(utility)
    # 117 kWh at 2 yen, and at 3.002 dinars.
    for currency, rate in (("JPY", "2"), ("KWD", "3.002")):
        tariff = FLAT | {"code": currency, "currency": currency}
        energy = {"code": "energy", "description": "Energy", "kind": "energy", "rate": rate}
        assert metered.file("tariffs", json.dumps(tariff | {"charges": [energy]})).ok
        metered.add_meter(f"M-{currency}", tariff=currency)
        assert metered.submit(f"M-{currency}", 1117).bill is not None
    text = written(utility, catalogue.REGISTER, "csv").decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    totals = {row["currency"]: row["total"] for row in rows}
    assert totals == {currency: total for currency, (total, _) in CURRENCIES.items()}
    content = written(utility, catalogue.REGISTER, "xlsx")
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        xml = parts.read("xl/worksheets/sheet1.xml").decode()
        styles = parts.read("xl/styles.xml").decode()
    for total, shown in CURRENCIES.values():
        assert f"<v>{total}</v>" in xml
        # Excel knows the first two by numbers of its own.
        assert f'formatCode="{shown}"' in styles
    head, *cells = (
        CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    )
    by_name = [dict(zip(head, row, strict=True)) for row in cells]
    assert {type(row["total"]) for row in by_name} == {float}
    for name in ("date", "period_start", "period_end", "due_date"):
        assert {type(row[name]) for row in by_name} == {date}


@pytest.mark.parametrize("report", catalogue.REPORTS, ids=[r.id for r in catalogue.REPORTS])
def test_no_file_of_any_report_holds_a_formula(utility: Utility, report: Report) -> None:
    given: dict[str, Any] = {"row": 1, "id": str(uuid4()), "account_no": "=1+1", "name": "@SUM(A1)"}
    given |= {"email": "", "phone": "+91 1", "address": "-1+2"}
    utility.services.database.import_rows(
        what="customers", actor=ADMIN.user, rows=[given], dry_run=False
    )
    fee: dict[str, Any] = {"id": str(uuid4()), "customer_id": given["id"], "kind": "fee"}
    fee |= {"amount_minor": 900, "currency": "INR", "note": "=2+2", "on_date": utility.today}
    utility.services.database.add_adjustment(actor="=3+3", entry=NewAdjustment.model_validate(fee))
    text = written(utility, report, "csv").decode("utf-8-sig")
    for row in csv.reader(io.StringIO(text)):
        for cell in row:
            assert not cell.startswith(("=", "+", "@", "\t")), cell
            assert not cell.startswith("-") or re.fullmatch(r"-[0-9.]+", cell), cell
    with zipfile.ZipFile(io.BytesIO(written(utility, report, "xlsx"))) as parts:
        assert "<f>" not in parts.read("xl/worksheets/sheet1.xml").decode()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_file_is_in_the_language_of_who_downloads_it(utility: Utility, kind: FileKind) -> None:
    spanish = Language.of("es")
    reports = utility.services.reports
    said: dict[str, Any] = {"principal": ADMIN, "language": spanish}
    words: list[str] = []
    for report in (catalogue.REGISTER, catalogue.YEAR, catalogue.JOURNAL):
        if kind == "csv":
            content = b"".join(reports.csv(report, OCTOBER, **said))
            rows: list[Any] = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
        else:
            out = io.BytesIO()
            reports.write_xlsx(out, report, OCTOBER, **said)
            rows = (
                CalamineWorkbook.from_filelike(io.BytesIO(out.getvalue()))
                .get_sheet_by_index(0)
                .to_python()
            )
        # Columns are named alike in all languages, for the programs that read them.
        assert tuple(rows[0]) == report.header
        words += [str(cell) for row in rows[1:] for cell in row]
    expected = [spanish.say(sentence(text)) for text in ("bill", "Tax billed", "Receivables")]
    assert set(expected) <= set(words)
    assert "Tax billed" not in words


def test_nothing_is_written_for_who_may_not_see_it(utility: Utility) -> None:
    out = io.BytesIO()
    with pytest.raises(NotAllowed):
        utility.services.reports.write_xlsx(out, catalogue.REGISTER, OCTOBER, principal=ENGINEER)
    assert out.getvalue() == b""
    with pytest.raises(NotAllowed):
        utility.services.reports.csv(catalogue.REGISTER, OCTOBER, principal=ENGINEER)
