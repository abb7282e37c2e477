"""Reports as files: numbers that are numbers, text that is no formula, and every row."""

import csv
import io
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
from services.records.entries import NewAdjustment
from services.reports import catalogue
from services.reports.definitions import Asked, Report
from services.reports.reports import FileKind
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


def test_nothing_is_written_for_who_may_not_see_it(utility: Utility) -> None:
    out = io.BytesIO()
    with pytest.raises(NotAllowed):
        utility.services.reports.write_xlsx(out, catalogue.REGISTER, OCTOBER, principal=ENGINEER)
    assert out.getvalue() == b""
    with pytest.raises(NotAllowed):
        utility.services.reports.csv(catalogue.REGISTER, OCTOBER, principal=ENGINEER)
