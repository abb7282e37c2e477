"""A round's file as devices of others bring it back: filled in, twice, late, and with mistakes."""

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from services.importing.importer import Importer
from services.importing.report import ImportReport
from services.readings.round_file import round_file
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.servers import NewDatabase

SERIALS = ("M1", "M2", "M3")
_NAMES = ("meter_serial", "reading_kwh", "read_at")


@pytest.fixture
def utility(fresh_database: NewDatabase, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(fresh_database(), tmp_path)
    for place, serial in enumerate(SERIALS):
        made.add_meter(serial)
        row = {"row": 1, "id": str(uuid4()), "code": _code(made, serial)}
        row |= {"route": "East" if serial == "M3" else "North", "sequence": place}
        made.services.database.import_rows(
            what="service_points", actor=ADMIN.user, rows=[row], dry_run=False
        )
    yield made
    made.services.close()


def _code(utility: Utility, serial: str) -> str:
    (meter,) = utility.services.database.find_meters(text=serial)
    return str(meter.service_point_code)


def exported(utility: Utility, kind: str = "csv", route: str = "North") -> bytes:
    meters = utility.services.reading_round.all_meters(
        route=route, principal=ADMIN, now=utility.now
    )
    return round_file(meters, "csv" if kind == "csv" else "xlsx")


def filled(utility: Utility, *typed: str, days_ago: int = 0, route: str = "North") -> str:
    """The route's CSV with what was typed for each meter in order."""
    rows = list(csv.DictReader(io.StringIO(exported(utility, route=route).decode("utf-8-sig"))))
    read_on = utility.today - timedelta(days=days_ago)
    for row, kwh in zip(rows, typed, strict=True):
        row |= {"reading_kwh": kwh, "read_at": read_on.isoformat() if kwh else ""}
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def bring(utility: Utility, content: str | bytes) -> ImportReport:
    importer = Importer(utility.services.database, utility.services.settings.timezone)
    return importer.readings(content, actor=ADMIN.user, now=utility.now)


def shown(utility: Utility, serial: str) -> list[int]:
    (meter,) = utility.services.database.find_meters(text=serial)
    found = utility.services.database.readings(meter_id=meter.id).items
    return sorted(one.register_wh // 1000 for one in found if not one.is_opening)


def test_the_same_file_twice_adds_nothing(utility: Utility) -> None:
    content = filled(utility, "1117", "1118")
    assert bring(utility, content).added == 2
    again = bring(utility, content)
    assert (again.errors, again.added, again.unchanged) == ((), 0, 2)
    assert [shown(utility, serial) for serial in SERIALS] == [[1117], [1118], []]


def test_yesterdays_file_comes_after_todays(utility: Utility) -> None:
    assert bring(utility, filled(utility, "1117", "1118")).added == 2
    late = bring(utility, filled(utility, "1114", "1115", days_ago=1))
    assert (late.errors, late.added) == ((), 2)
    assert shown(utility, "M1") == [1114, 1117]
    tomorrow = bring(utility, filled(utility, "1120", "", days_ago=-1))
    assert [error.row for error in tomorrow.errors] == [2]
    assert "future" in tomorrow.errors[0].message


def test_a_file_of_another_route_brings_its_own_meters_alone(utility: Utility) -> None:
    report = bring(utility, filled(utility, "1119", route="East"))
    assert (report.errors, report.added) == ((), 1)
    assert [shown(utility, serial) for serial in SERIALS] == [[], [], [1119]]


@pytest.mark.parametrize("digits", ["१११७", "١١١٧", "۱۱۱۷.0", "1117"])
def test_digits_of_any_script_are_digits(utility: Utility, digits: str) -> None:
    report = bring(utility, filled(utility, digits, ""))
    assert (report.errors, report.added) == ((), 1)
    assert shown(utility, "M1") == [1117]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_any_usual_encoding_is_read(utility: Utility, encoding: str) -> None:
    content = filled(utility, "1117", "1118").replace("1 Hill Road", "1 Rue de l’Église")
    report = bring(utility, content.encode(encoding))
    assert (report.errors, report.added) == ((), 2)


@pytest.mark.parametrize("typed", ["=1117", "=1000+117", "@SUM(1)", "11 17 x", "-5", "1117,5,3"])
def test_a_bad_row_is_named_with_its_line_and_why_and_nothing_is_stored(
    utility: Utility, typed: str
) -> None:
    report = bring(utility, filled(utility, "1117", typed))
    (error,) = report.errors
    assert error.row == 3
    assert "The reading " in error.message or "is no number" in error.message
    assert report.added == 0
    assert shown(utility, "M1") == []


@pytest.mark.parametrize(("computed", "added", "kept"), [("", 0, []), ("<v>1117</v>", 1, [1117])])
def test_a_formula_in_a_workbook_counts_as_what_it_showed(
    utility: Utility, computed: str, added: int, kept: list[int]
) -> None:
    sheet = (
        '<?xml version="1.0" encoding="UTF-8"?><worksheet xmlns='
        '"http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">'
        + "".join(_text(f"{column}1", name) for column, name in zip("ABC", _NAMES, strict=True))
        + f'</row><row r="2">{_text("A2", "M1")}<c r="B2"><f>1000+117</f>{computed}</c>'
        f"{_text('C2', utility.today.isoformat())}</row></sheetData></worksheet>"
    )
    book = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(exported(utility, "xlsx"))) as ours,
        zipfile.ZipFile(book, "w") as changed,
    ):
        for name in ours.namelist():
            changed.writestr(name, sheet if "worksheets/sheet" in name else ours.read(name))
    report = bring(utility, book.getvalue())
    assert (report.added, shown(utility, "M1")) == (added, kept)
    # What nothing computed is an empty cell: it is said, not passed over.
    assert bool(report.errors or report.remarks) == (not added)


def _text(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'
