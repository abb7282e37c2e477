"""What an import would do is shown before it is done; headings are said once."""

import io
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import xlsxwriter
from psycopg import sql

from services.importing import Importer
from services.importing.rows import derived_id
from tests.integration.utility import Utility, make_utility

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
ACTOR = "cli:tester"
CUSTOMERS = "account_no,name,email,phone,address"
METERS = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on"


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=NOW)
    yield made
    made.services.close()


@pytest.fixture
def importer(utility: Utility) -> Importer:
    return Importer(utility.services.database, utility.services.settings.timezone)


def lines(header: str, *rows: str) -> str:
    return "\n".join((header, *rows))


def table_counts(database: str) -> list[tuple[str, int]]:
    """How many rows each table has, the audit trail's too."""
    with psycopg.connect(database) as connection:
        names = connection.execute(
            "select relname from pg_class where relkind = 'r'"
            " and relnamespace = 'public'::regnamespace order by relname"
        ).fetchall()
        query = sql.SQL("select 1 from public.{}")
        return [
            (name, len(connection.execute(query.format(sql.Identifier(name))).fetchall()))
            for (name,) in names
        ]


def customers(importer: Importer, *rows: str, **options: Any) -> Any:
    run = replace(importer, **options)
    return run.customers(lines(CUSTOMERS, *rows), actor=ACTOR, now=NOW)


def test_a_dry_run_says_what_each_row_would_do_and_writes_nothing(
    importer: Importer, database: str
) -> None:
    assert customers(importer, "A1,Ann,a@example.org,,", "A2,Ben,,,2 Hill Road").added == 2
    before = table_counts(database)
    rows = ("A1,Ann Lee,,,1 Hill Road", "A2,Ben,,,2 Hill Road", "A3,Eve,,,")
    report = customers(importer, *rows, dry_run=True)
    assert (report.ok, report.added, report.changed, report.unchanged) == (True, 1, 1, 1)
    assert report.states == {2: "changed", 3: "unchanged", 4: "new"}
    assert [(d.of, d.name, d.field, d.before, d.after) for d in report.differences] == [
        ("customers", "A1", "address", "", "1 Hill Road"),
        ("customers", "A1", "name", "Ann", "Ann Lee"),
    ]
    assert report.summary.startswith("Nothing was written.")
    assert table_counts(database) == before
    written = customers(importer, *rows)
    assert (written.added, written.changed, written.unchanged) == (1, 1, 1)
    again = customers(importer, *rows, dry_run=True)
    assert (again.unchanged, again.differences) == (3, ())


def test_a_dry_run_of_each_kind_counts_as_the_import_does(
    importer: Importer, database: str
) -> None:
    files = {
        "customers": lines(CUSTOMERS, "A1,Ann,,,"),
        "transformers": lines("code,name,feeder_code", "T1,One,F1", "T2,Two,F1"),
        "meters": lines(METERS + ",transformer_code", "M1,A1,KSEB-LT1A,manual,5,,0,2026-01-01,T1"),
        "readings": lines("meter_serial,reading_kwh,read_at", "M1,5,2026-02-01"),
        "supplies": lines(
            "transformer_code,period_start,period_end,energy_kwh", "T1,2026-01-01,2026-02-01,9"
        ),
        "intervals": lines(
            "meter_serial,start,kwh", *(f"M1,2026-02-01T{hour:02}:00,0.5" for hour in range(24))
        ),
    }
    for what, text in files.items():
        before = table_counts(database)
        looked = replace(importer, dry_run=True).run(what, text, actor=ACTOR, now=NOW)  # type: ignore[arg-type]
        assert table_counts(database) == before
        done = importer.run(what, text, actor=ACTOR, now=NOW)  # type: ignore[arg-type]
        assert looked.ok
        assert done.ok
        assert (looked.added, looked.changed, looked.unchanged) == (done.added, 0, 0)
        assert done.added > 0


def test_what_changes_of_a_meter_is_said_by_names(importer: Importer) -> None:
    assert customers(importer, "A1,Ann,,,").ok
    grid = lines("code,name,feeder_code", "T1,One,F1", "T2,Two,F1")
    assert importer.transformers(grid, actor=ACTOR, now=NOW).ok
    header = METERS + ",transformer_code"
    row = "M1,A1,KSEB-LT1A,manual,5,,0,2026-01-01,"
    assert importer.meters(lines(header, row + "T1"), actor=ACTOR, now=NOW).ok
    looked = replace(importer, dry_run=True).meters(lines(header, row + "T2"), actor=ACTOR, now=NOW)
    assert [(d.name, d.before, d.after) for d in looked.differences] == [("M1", "T1", "T2")]
    assert looked.changed == 1


def test_a_dry_run_names_what_only_the_database_knows(importer: Importer, database: str) -> None:
    before = table_counts(database)
    meters = lines(METERS, "M1,NONE,KSEB-LT1A,manual,5,,0,2026-01-01")
    report = replace(importer, dry_run=True).meters(meters, actor=ACTOR, now=NOW)
    assert [str(error) for error in report.errors] == [
        "row 2, account_no: No customer has the account number NONE."
    ]
    assert table_counts(database) == before


def test_headings_that_were_said_are_remembered_and_audited(
    importer: Importer, database: str
) -> None:
    text = "Kontonummer,Kunde,email,phone,address,Zone\nA1,Ann,,,1 Hill Road,4\n"
    assert not importer.customers(text, actor=ACTOR, now=NOW).ok
    said = (("Kontonummer", "account_no"), ("Kunde", "name"), ("Zone", ""))
    for field in ("email", "name"):
        headings = [
            {
                "id": derived_id("heading", "customers", heading.lower()),
                "heading": heading,
                "heading_key": heading.lower(),
                "field": field if heading == "Kunde" else meant,
            }
            for heading, meant in said
        ]
        importer.database.set_import_headings(actor=ACTOR, kind="customers", headings=headings)
    assert importer.customers(text, actor=ACTOR, now=NOW).added == 1
    with psycopg.connect(database) as connection:
        audited = connection.execute(
            "select actor, action, after ->> 'field' from public.audit_log"
            " where table_name = 'import_headings' order by id"
        ).fetchall()
    assert sorted(audited) == [
        (ACTOR, "insert", ""),
        (ACTOR, "insert", "account_no"),
        (ACTOR, "insert", "email"),
        (ACTOR, "update", "name"),
    ]


def test_what_was_said_of_one_file_comes_first(importer: Importer) -> None:
    text = "Konto,name,email,phone,address\nA1,Ann,,,\n"
    said = replace(importer, headings={"konto": "account_no"})
    assert said.customers(text, actor=ACTOR, now=NOW).added == 1


def test_what_a_file_leaves_open_is_asked(importer: Importer) -> None:
    assert customers(importer, "00123,Ann,,,").ok
    assert customers(importer, "123,Ben,,,").asks == {"similar"}
    assert customers(importer, "123,Ben,,,", allow_similar=True).added == 1
    meters = METERS.replace(",", ";") + "\nM1;00123;KSEB-LT1A;manual;5;;1.117;03/04/2025"
    assert importer.meters(meters, actor=ACTOR, now=NOW).asks == {"decimal", "dates"}
    clear = replace(importer, decimal="comma", date_order="day_first")
    assert clear.meters(meters, actor=ACTOR, now=NOW).added == 1


def workbook_of_customers(rows: Sequence[Sequence[str]]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_three_bad_rows_of_200_000_are_named_in_bounded_time_and_memory(
    importer: Importer, database: str, kind: str
) -> None:
    rows = [[f"A{n:06}", f"House {n}", "", "", f"{n} Hill Road"] for n in range(200_000)]
    rows[77_777][1] = ""
    rows[150_000][2] = "nobody"
    rows[199_999][0] = "A000001"
    table = [CUSTOMERS.split(","), *rows]
    csv = "\n".join(",".join(row) for row in table).encode()
    source = csv if kind == "csv" else workbook_of_customers(table)
    del rows, table, csv
    before, began = _peak_mb(), time.monotonic()
    report = importer.customers(source, actor=ACTOR, now=NOW)
    took = time.monotonic() - began
    assert [(error.row, error.column) for error in report.errors] == [
        (77_779, "name"),
        (150_002, "email"),
        (200_001, "account_no"),
    ]
    assert dict(table_counts(database))["customers"] == 0
    assert took < 90
    assert _peak_mb() - before < 700


def _peak_mb() -> int:
    """The most memory that this process, or one it started, had so far."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) // 1024
