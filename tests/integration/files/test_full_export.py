"""A full export, brought into an empty database, is the utility that it was."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.identity.auth import NotAllowed
from services.importing import Importer, ImportReport, WhatToImport
from services.importing.full_export.exports import UnableToExport
from services.importing.full_export.writer import FullExport
from services.importing.kinds import COLUMNS_OF
from services.importing.writing import say_nothing
from services.records.bills import invoice_reference
from services.records.readings import Reading
from services.web.shapes import bill_json
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility
from tests.servers import NewDatabase

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
ACTOR = "cli:tester"
ORDER: tuple[WhatToImport, ...] = (
    "tariffs",
    "customers",
    "transformers",
    "service_points",
    "meters",
    "readings",
    "agreements",
    "balances",
    "past_payments",
    "intervals",
    "supplies",
)
HOSTILE = ("=1+1", "+CMD", "@SUM(A1)", "'quoted", "-2+3", 'Ann, "B"')


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=NOW)
    yield made
    made.services.close()


@pytest.fixture
def filled(utility: Utility) -> Utility:
    """Of each kind one: also a bill, a move, a vacant place, what is owed and held."""
    bring(utility, "customers", "account_no,name", *(f"H-{n},{quoted(t)}" for n, t in HOSTILE_ROWS))
    bring(utility, "transformers", "code,name,feeder_code,feeder_name", "T-1,Hill,F-1,North")
    points = "code,address,transformer_code,route,sequence,phases,connected_kw,access_note"
    bring(utility, "service_points", points, "P-1,1 Hill,T-1,R1,7,3,4.5,The dog", "P-2,,,,,,,")
    meters = "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on"
    bring(
        utility, "meters", f"{meters},service_point,registers",
        "X1,H-0,KSEB-LT1A,manual,6,2.5,12.25,2026-01-01,P-1,kvah=3 max_kw",
        "X2,,,smart,5,1,7,2026-01-01,P-2,",
    )  # fmt: skip
    bring(
        utility, "readings", "meter_serial,reading_kwh,read_at,register:kvah,register:max_kw",
        "X1,40,2026-02-01,30,1.5", "X1,62.5,2026-03-01T10:30,52,2",
    )  # fmt: skip
    bring(
        utility, "agreements", "service_point,account_no,tariff_code,starts_on,ends_on,billing_day",
        "P-1,H-0,KSEB-LT1A,2026-01-01,2026-02-01,5", "P-1,H-1,KSEB-LT1A,2026-02-01,,",
    )  # fmt: skip
    bring(utility, "balances", "account_no,balance,as_of,reference,deposit",
          "H-0,12.50,2026-01-01,O-1,100", "H-2,-3,2026-01-01,O-2,")  # fmt: skip
    bring(utility, "past_payments", "account_no,amount,received_on,method", "H-0,9,2025-12-01,cash")
    day = [f"X2,2026-01-02T{h:02}:00,0.125,60" for h in range(24)]
    bring(utility, "intervals", "meter_serial,start,kwh,minutes", *day)
    bring(utility, "supplies", "transformer_code,period_start,period_end,energy_kwh",
          "T-1,2026-01-01,2026-02-01,1234.5")  # fmt: skip
    utility.add_meter("M1")
    assert utility.submit("M1", 1117).bill is not None
    return utility


HOSTILE_ROWS = tuple(enumerate(HOSTILE))


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def bring(utility: Utility, what: WhatToImport, *lines: str) -> None:
    report = importer(utility).run(what, "\n".join(lines), actor=ACTOR, now=NOW)
    assert report.ok, [str(problem) for problem in report.errors]


def importer(utility: Utility) -> Importer:
    # What looks like a formula is also asked about as an identifier: A-M1 and such are known.
    return Importer(utility.services.database, utility.services.settings.timezone)


def export(utility: Utility, path: Path) -> zipfile.ZipFile:
    services = utility.services
    made = FullExport(services.database, services.settings.timezone, utility="Green Valley")
    made.write(path, now=NOW)
    return zipfile.ZipFile(path)


def table(bundle: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    text = io.StringIO(bundle.read(name).decode("utf-8-sig"), newline="")
    return list(csv.DictReader(text))


def bring_all(utility: Utility, bundle: zipfile.ZipFile) -> dict[str, ImportReport]:
    found: dict[str, ImportReport] = {}
    for what in ORDER:
        name = f"import/{what}.{'json' if what == 'tariffs' else 'csv'}"
        if what != "tariffs" and not table(bundle, name):
            continue
        found[what] = importer(utility).run(what, bundle.read(name), actor=ACTOR, now=NOW)
        assert found[what].ok, (what, [str(problem) for problem in found[what].errors])
    return found


def test_an_export_brought_into_an_empty_database_is_the_same_utility(
    filled: Utility, fresh_database: NewDatabase, tmp_path: Path
) -> None:
    first = export(filled, tmp_path / "first.zip")
    second = make_utility(fresh_database(), tmp_path / "other", now=NOW)
    try:
        bring_all(second, first)
        again = export(second, tmp_path / "second.zip")
        for what in ORDER[1:]:
            name = f"import/{what}.csv"
            assert sorted(map(comparable(what), table(again, name))) == sorted(
                map(comparable(what), table(first, name))
            ), what
        for database in (filled.services.database, second.services.database):
            accounts = {a.account_no: (a.balance_minor, a.deposit_minor) for a in
                        database.accounts(page_size=50).items}  # fmt: skip
            assert accounts["H-0"] == (1_250, 10_000)
            assert accounts["H-2"] == (-300, 0)
            assert accounts["A-M1"] == (54_035, 0)
            names = {a.account_no: a.name for a in database.accounts(page_size=50).items}
            assert [names[f"H-{n}"] for n, _ in HOSTILE_ROWS] == list(HOSTILE)
            assert database.check_ledger().problems == ()
        repeated = bring_all(second, first)
        assert all(r.added == r.changed == 0 for w, r in repeated.items() if w != "tariffs")
        # What was billed is not billed again: the next bill begins where the last one ended.
        (bill,) = filled.bills_of("M1")
        after = second.submit("M1", 1217, at=NOW + timedelta(days=0)).reading
        assert after is not None
        assert second.bills_of("M1") == []
        assert {m["serial"]: m["opening_kwh"] for m in table(first, "import/meters.csv")}["M1"] == (
            "1117"
        )
        assert bill.total_minor == 54_035
    finally:
        second.services.close()


def test_what_was_estimated_is_estimated_in_the_other_database(
    utility: Utility, fresh_database: NewDatabase, tmp_path: Path
) -> None:
    """M1 goes on from an estimate that was billed, M2 has one that is not billed yet."""
    for serial in ("M1", "M2"):
        utility.add_meter(serial, opened_on=NOW.date() - timedelta(days=104))
        for days in (70, 40):
            utility.submit(serial, 1000 + 5 * (104 - days), at=NOW - timedelta(days=days))
    estimated(utility, "M1", 5)
    text = f"meter_serial,reading_kwh,read_at,quality\nM2,1495,{NOW - timedelta(days=5)},9"
    bring(utility, "readings", *text.splitlines())
    before = utility.bills_of("M1")[-1]
    assert (before.closing_source, before.is_estimated) == ("estimated", True)
    first = export(utility, tmp_path / "first.zip")
    qualities = {m["serial"]: m["opening_quality"] for m in table(first, "import/meters.csv")}
    assert qualities == {"M1": "8", "M2": "17"}
    second = make_utility(fresh_database(), tmp_path / "other", now=NOW)
    try:
        bring_all(second, first)
        found = {serial: last_read(second, serial) for serial in ("M1", "M2")}
        assert {s: (one.source, int(one.quality)) for s, one in found.items()} == {
            "M1": ("estimated", 8),
            "M2": ("estimated", 9),
        }
        assert second.submit("M1", before.closing_wh // 1000 + 20).outcome == "billed"
        (bill,) = second.bills_of("M1")
        shown = bill_json(second.services.database.bill(bill.id))
        assert (shown["opening_read"], shown["estimated"]) == ("estimated", True)
        assert shown["opening_quality"]["code"] == 8
    finally:
        second.services.close()


def test_what_a_customer_read_is_settled_in_the_other_database(
    utility: Utility, fresh_database: NewDatabase, tmp_path: Path
) -> None:
    """M1 goes on from a customer's own read that was billed, M2 has one that is not billed yet."""
    for serial in ("M1", "M2"):
        utility.add_meter(serial, opened_on=NOW.date() - timedelta(days=104))
        for days in (70, 40):
            utility.submit(serial, 1000 + 5 * (104 - days), at=NOW - timedelta(days=days))
    utility.submit("M1", 1500, at=NOW - timedelta(days=5), source="customer")
    header = "meter_serial,reading_kwh,read_at,read_source"
    bring(utility, "readings", header, f"M2,1495,{NOW - timedelta(days=5)},Customer")
    assert last_read(utility, "M2").source == "customer"
    first = export(utility, tmp_path / "first.zip")
    second = make_utility(fresh_database(), tmp_path / "other", now=NOW)
    try:
        bring_all(second, first)
        found = {serial: last_read(second, serial) for serial in ("M1", "M2")}
        assert {s: (one.source, one.is_actual) for s, one in found.items()} == {
            "M1": ("customer", False),
            "M2": ("customer", False),
        }
        assert export(second, tmp_path / "again.zip").read("import/readings.csv") == first.read(
            "import/readings.csv"
        )
        text = f"{header}\nM2,1500,{NOW},neighbour"
        report = importer(second).run("readings", text, actor=ACTOR, now=NOW)
        assert "must be one of field, smart, customer" in report.errors[0].message
    finally:
        second.services.close()


def estimated(utility: Utility, serial: str, days: int) -> None:
    """Estimate a meter's read of some days ago, and bill it."""
    estimates, on = utility.services.reading_estimates, NOW.date() - timedelta(days=days)
    found = estimates.preview(meter_serial=serial, on=on, principal=ADMIN, now=NOW)
    estimates.store(
        reading_id=str(uuid4()), meter_serial=serial, on=on, reason="Away", principal=ADMIN,
        register_wh=found.estimate.register_wh, now=NOW,
    )  # fmt: skip


def last_read(utility: Utility, serial: str) -> Reading:
    found = utility.services.database.reading_context(
        meter_serial=serial, read_at=NOW, read_on=NOW.date()
    ).last_read
    assert found is not None
    return found


def comparable(what: str) -> Callable[[dict[str, str]], tuple[str, ...]]:
    """A row without what differs by its nature: the reference of an entry that was brought in."""

    def of(row: dict[str, str]) -> tuple[str, ...]:
        return tuple(
            value for name, value in row.items() if (what, name) != ("balances", "reference")
        )

    return of


def test_the_files_have_exactly_the_columns_of_the_imports(filled: Utility, tmp_path: Path) -> None:
    bundle = export(filled, tmp_path / "all.zip")
    for kind, columns in COLUMNS_OF.items():
        if kind == "bank_statements":
            continue
        header = bundle.read(f"import/{kind}.csv").decode("utf-8-sig").splitlines()[0].split(",")
        if columns.prefix:
            further = ["register:kvah", "register:max_kw"]
            assert header == [*columns.required, *columns.optional, *further]
        else:
            assert header == [*columns.required, *columns.optional]
    assert "tariffs, customers, transformers" in bundle.read("README.txt").decode()
    assert json.loads(bundle.read("import/tariffs.json"))[0]["code"] == "KSEB-LT1A"


def test_the_archive_holds_every_row_of_every_table_and_no_secret(
    filled: Utility, tmp_path: Path
) -> None:
    bundle = export(filled, tmp_path / "all.zip")
    (bill,) = table(bundle, "archive/bills.csv")
    assert bill["total_minor"] == "54035"
    assert json.loads(bill["lines"])[0][0] == "energy"
    entries = table(bundle, "archive/ledger_entries.csv")
    assert {entry["kind"] for entry in entries} == {"bill", "opening_balance"}
    audited = {
        (entry["table_name"], entry["action"]) for entry in table(bundle, "archive/audit_log.csv")
    }
    assert ("customers", "insert") in audited
    names = {Path(name).stem for name in bundle.namelist() if name.startswith("archive/")}
    assert names.isdisjoint({"api_keys", "sessions", "user_access", "customer_channels", "outbox"})
    open_of_bill = [
        row for row in table(bundle, "import/balances.csv")
        if row["reference"] == invoice_reference(int(bill["number"]))
    ]  # fmt: skip
    assert [(row["balance"], row["as_of"]) for row in open_of_bill] == [
        ("540.35", "2026-03-15"),
    ]


LEFT_OUT = {
    # Sign-ins, keys, secrets.
    "api_keys", "api_key_uses", "customer_channels", "customer_codes",
    "customer_pages", "customer_sessions", "security_log", "sessions", "user_access",
    "user_credentials", "user_languages", "user_links",
    # Each step of a request is in the audit trail, which is archived.
    "approval_requests",
    # What the system keeps for itself, or makes again.
    "aged_accounts", "aged_changes", "aged_months", "agreements_to_bill", "ai_calls",
    "bill_number_blocks", "bill_run_previews", "bill_totals", "clock_seen", "counters",
    "debt_changes", "debt_days", "debt_rows",
    "draft_signs",
    "mailboxes",
    "graph_changes", "idempotency_keys", "import_headings", "installation", "issue_run_bills",
    "issue_runs", "latest_reads", "ledger_checks",
    "ledger_totals", "outbox", "job_runs", "job_set_aside",
    "message_rates", "meter_collections", "open_totals", "operations_alerts", "overdue_accounts",
    "payment_links",
    "reconciliations", "refused_reads", "removals",
    "collection_sums", "posting_sums", "revenue_sums", "stripe_events", "summed_postings",
    "supply_totals", "unprinted_bills", "vacancies",
    # The mail itself stays in the mailbox.
    "customer_replies",
    # Files of their own.
    "bill_documents", "credit_note_documents", "meter_photos", "photo_contents",
    "photos_to_claim", "utility_logos",
}  # fmt: skip


def test_each_table_is_in_the_archive_or_left_out_on_purpose(
    utility: Utility, database: str
) -> None:
    archived = {table.name for table in utility.services.database.export_plan().tables}
    with psycopg.connect(database) as connection:
        there = connection.execute(
            "select relname from pg_class where relkind = 'r'"
            " and relnamespace = 'public'::regnamespace"
        ).fetchall()
    tables = {name for (name,) in there} - {"schema_migrations"}
    assert tables - archived - LEFT_OUT == set()
    assert archived & LEFT_OUT == set()
    assert archived <= tables


def test_many_rows_are_walked_page_by_page(utility: Utility, tmp_path: Path) -> None:
    rows = [f"C-{n:05},Name {n}" for n in range(6_001)]
    bring(utility, "customers", "account_no,name", *rows)
    found = table(export(utility, tmp_path / "all.zip"), "import/customers.csv")
    assert {row["account_no"] for row in found} == {row.split(",")[0] for row in rows}
    assert len(table(zipfile.ZipFile(tmp_path / "all.zip"), "archive/customers.csv")) == 6_001


def test_an_export_that_fails_leaves_no_file(utility: Utility, tmp_path: Path) -> None:
    def fail(*_: Any) -> None:
        raise OSError("No space left on device")

    services = utility.services
    made = FullExport(
        services.database, services.settings.timezone, utility="Green Valley", progress=fail
    )
    with pytest.raises(OSError, match="No space"):
        made.write(tmp_path / "exports" / "all.zip", now=NOW)
    assert list((tmp_path / "exports").iterdir()) == []


def test_an_export_that_fails_in_the_office_says_why(utility: Utility) -> None:
    exports = utility.services.exports
    exports.folder.parent.mkdir(parents=True, exist_ok=True)
    exports.folder.write_text("in the way")
    with pytest.raises(UnableToExport, match=r"Not a directory|File exists"):
        exports.make(principal=ADMIN, now=NOW, progress=say_nothing)


def test_exports_are_made_kept_and_found_by_administrators_alone(utility: Utility) -> None:
    exports = utility.services.exports
    for minute in range(5):
        exports.make(principal=ADMIN, now=NOW + timedelta(minutes=minute), progress=say_nothing)
    made = exports.made(principal=ADMIN)
    assert [one.name for one in made] == [
        f"export-20260315-12{minute:02}00.zip" for minute in (4, 3, 2)
    ]
    path = exports.path_of(made[0].name, principal=ADMIN)
    assert path is not None
    assert zipfile.is_zipfile(path)
    for name in ("../settings.json", "export-20260315-129900.zip", str(uuid4())):
        assert exports.path_of(name, principal=ADMIN) is None
    for ask in (
        lambda: exports.make(principal=ENGINEER, now=NOW, progress=say_nothing),
        lambda: exports.made(principal=ENGINEER),
        lambda: exports.path_of(made[0].name, principal=ENGINEER),
    ):
        with pytest.raises(NotAllowed):
            ask()


def test_banked_kwh_go_along(utility: Utility, fresh_database: NewDatabase, tmp_path: Path) -> None:
    solar = {
        "code": "SOLAR", "name": "Solar", "currency": "INR", "effective_from": "2020-01-01",
        "net_metering": {"surplus": "lapses", "settled_in": 3},
        "charges": [{"code": "e", "description": "E", "kind": "energy", "rate": "3"}],
    }  # fmt: skip
    bring(utility, "tariffs", json.dumps(solar))
    bring(utility, "customers", "account_no,name", "S-1,Asha")
    bring(
        utility, "meters",
        "serial,account_no,tariff_code,kind,dials,multiplier,opening_kwh,opened_on,registers",
        "S1,,,manual,5,1,0,2026-01-01,export=0",
    )  # fmt: skip
    bring(
        utility, "agreements", "service_point,account_no,tariff_code,starts_on,banked_kwh",
        "S1,S-1,SOLAR,2026-01-01,12.5",
    )  # fmt: skip
    first = export(utility, tmp_path / "first.zip")
    assert [row["banked_kwh"] for row in table(first, "import/agreements.csv")] == ["12.5"]
    second = make_utility(fresh_database(), tmp_path / "other", now=NOW)
    try:
        bring_all(second, first)
        again = export(second, tmp_path / "second.zip")
        name = "import/agreements.csv"
        assert table(again, name) == table(first, name)
        (entry,) = table(again, "archive/kwh_bank_entries.csv")
        assert (entry["kind"], entry["wh"], entry["bill_id"]) == ("opening", "12500", "")
        assert all(r.added == 0 for w, r in bring_all(second, first).items() if w != "tariffs")
    finally:
        second.services.close()
