"""What pages ask of a large utility is found by indexes, however much it has of everything."""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from itertools import chain
from pathlib import Path
from typing import cast

import psycopg
import pytest

from bench.large.office import fill_office
from bench.large.pages import OTHER_ORDER, id_of, page_questions
from bench.large.reports import add_up, report_questions, work_out
from bench.large_utility import fill
from bench.plans import ExplainingTransport, blocks, nodes, scanned, walked
from bench.questions import LARGE, OFFICE, questions
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from services.database.service import DatabaseService
from services.graph.shapes import LABELS
from services.people.users import Users
from services.records.base import PageRequest
from services.records.lists import BillFilter
from services.reports import catalogue
from services.reports.definitions import Asked
from services.reports.reports import reports_over
from services.settings import load_settings
from tests.integration.server_process import superuser_dsn
from tests.servers import MIGRATIONS

# More than a list counts, so that Postgres reads an index rather than a whole table.
CUSTOMERS = 12_000
MONTHS = 3
# A list looks at 10,000 rows to count them, each by some blocks of indexes and of its table.
MOST_BLOCKS = 60_000
# A table of which so few blocks were read was left early, with what was looked for.
FEW_BLOCKS = 100
# What adds up all bills or rows is asked by nobody who waits for a page to open: a toggle, the
# correction of a tariff, the nightly pass over the graph, a run that is cut into parts.
ADDED_UP = frozenset({"network: sums", "parts of a run"})
# What counts nearly all rows of a table, and leaves it at 10,000.
COUNTED = frozenset({"tariffs", "payments: applied, by received"})
# What is kept added up is read from few blocks, however many bills there are of it.
KEPT = {
    "submit a reading": 2_000,
    "limits: meters to try": 1_600,
    "metrics: bills of a day": 100,
    "month's books: open drafts": 800,
    "month's books: receivables": 700,
    "month's books: receivables now": 1_500,
    "month's books: receivables, next": 1_500,
    "month's books: receivables, not late": 1_500,
    "drafts: totals": 800,
    "drafts: unusual": 800,
    "flagged readings: far page": 800,
    "network: backlog": 30_000,
    "tariffs": 400,
    "bill runs: billing days": 400,
    "tariff: bills to correct": 20_000,
    "tariff: reach": 15_000,
    "other order: customers: owing, by overdue": 25_000,
    "other order: customers: owing, by balance": 35_000,
    "bills: open, before, by period": 60,
    "routes of rounds": 1_500,
}
# Of each report's statement; one that walks reads some blocks for each of its 50 rows, one of
# sums what is kept of its days.
OF_REPORTS = {
    "register": 1_500,
    "register, further on": 1_500,
    "write-offs": 50,
    "write-offs, further on": 50,
    "journal": 2_500,
    "journal, further on": 2_500,
    "ledger": 2_500,
    "ledger, further on": 2_500,
    "reads": 100,
    "reads, further on": 100,
    "unbilled": 3_000,
    "unbilled, further on": 3_000,
    "deposits": 200,
    "deposits, further on": 200,
    "aged-debt, now": 4_000,
    "aged-debt, earlier": 600,
    "revenue, a month": 600,
    "revenue, a year": 600,
    "collections, a month": 600,
    "collections, a year": 600,
    "journal by day, tax, a month": 600,
    "journal by day, tax, a year": 600,
    "year": 300,
}
# 20,000 bills more, 100 of each of the runs that made them.
_BILLS_OF_A_LANDLORD = """
    create temporary table copied on commit drop as
    select b.*, row_number() over () as n from bills b where b.status = 'issued' limit 20000;
    update copied set id = gen_random_uuid(), customer_id = %(landlord)s, number = 90000000 + n,
        opening_reading_id = gen_random_uuid(), closing_reading_id = gen_random_uuid(),
        agreement_id = gen_random_uuid(), replaces_id = null, created_by = 'job:monthly_bills',
        created_at = '2026-11-20'::timestamptz + n / 100 * interval '1 second';
    alter table copied drop column n;
    insert into bills select * from copied"""
# Each index that a page needs, dropped, and what then reads a whole table.
NEEDED = (
    ("payments_by_amount", "payments: all, by amount, last page"),
    ("ledger_entries_of_bills", "bill: payments"),
    ("ledger_entries_of_payments", "payment: allocations"),
    ("notifications_customer", "customer: messages"),
    ("readings_by_submitter", "my readings"),
    ("credit_notes_search", "credit notes: number"),
    ("meters_by_hash", "limits: meters to try"),
)


@pytest.fixture(scope="module")
def large(embedded_server: EmbeddedPostgres) -> Iterator[ExplainingTransport]:
    name = "large_utility"
    apply_migrations(embedded_server.database(name), MIGRATIONS)
    dsn = superuser_dsn(embedded_server, database=name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill(connection, customers=CUSTOMERS, months=MONTHS)
        fill_office(connection, customers=CUSTOMERS)
        # What the background does before anybody asks.
        worked = DatabaseService(ExplainingTransport(connection))
        add_up(worked)
        work_out(worked)
        connection.execute("reset role")
        # To read a table is dear as if it had some ten times as many rows.
        connection.execute("set seq_page_cost = 12")
        yield ExplainingTransport(connection)


def test_nothing_that_is_asked_for_reads_a_whole_table(large: ExplainingTransport) -> None:
    found: list[str] = []
    database = DatabaseService(large)
    for label, ask in chain(
        questions(database, customers=CUSTOMERS),
        page_questions(database, customers=CUSTOMERS),
        report_questions(database, customers=CUSTOMERS),
    ):
        if label in ADDED_UP or label.startswith(OTHER_ORDER):
            continue
        large.explain(True)
        ask()
        large.explain(False)
        assert any("Scan" in node["Node Type"] for node in nodes(large.plans)), label
        tables = [*scanned(large.plans, LARGE), *walked(large.plans, LARGE)]
        read = blocks(large.plans)
        if label in COUNTED:
            tables = []
        if read > (FEW_BLOCKS if tables else MOST_BLOCKS):
            found.append(f"{label}: {', '.join(tables)} {read:,} blocks")
    assert found == [], "\n".join(found)


@pytest.mark.parametrize(("label", "most"), KEPT.items())
def test_what_is_kept_is_read_from_few_blocks(
    large: ExplainingTransport, label: str, most: int
) -> None:
    database = DatabaseService(large)
    asked = {
        **dict(questions(database, customers=CUSTOMERS)),
        **dict(page_questions(database, customers=CUSTOMERS)),
    }
    large.explain(True)
    asked[label]()
    large.explain(False)
    assert blocks(large.plans) <= most


@pytest.mark.parametrize(("label", "most"), OF_REPORTS.items())
def test_a_report_is_read_from_few_blocks(
    large: ExplainingTransport, label: str, most: int
) -> None:
    found = dict(report_questions(DatabaseService(large), customers=CUSTOMERS))
    asked = found[f"report: {label}"]
    large.explain(True)
    asked()
    large.explain(False)
    assert blocks(large.plans) <= most


@pytest.mark.parametrize("what", list(LABELS))
def test_a_page_of_the_graph_is_read_from_few_blocks(large: ExplainingTransport, what: str) -> None:
    # A pass reads all there is in such pages: what each took of all payments made it quadratic.
    large.explain(True)
    rows = DatabaseService(large).graph_rows(what=what, after=None, limit=100)
    large.explain(False)
    assert len(rows) == 100 or what in {"feeders", "transformers", "tariffs", "supplies"}
    assert blocks(large.plans) <= 4_000


def test_a_file_takes_the_memory_of_a_piece_however_many_rows_it_has(
    large: ExplainingTransport, tmp_path: Path
) -> None:
    database = DatabaseService(large)
    reports = reports_over(database, load_settings({}), cast(Users, None))

    def peak(start: date, *, workbook: bool) -> tuple[int, int]:
        asked = Asked(start, date(2026, 12, 1))
        tracemalloc.start()
        if workbook:
            with (tmp_path / "register.xlsx").open("wb") as out:
                rows = reports.write_xlsx(out, catalogue.REGISTER, asked, principal=OFFICE)
        else:
            pieces = reports.csv(catalogue.REGISTER, asked, principal=OFFICE)
            rows = sum(piece.count(b"\n") for piece in pieces) - 1
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return rows, most

    for workbook in (False, True):
        few, memory = peak(date(2026, 10, 26), workbook=workbook)
        many, most = peak(date(2026, 10, 1), workbook=workbook)
        assert many > 8 * few > 8_000
        assert most < 2 * memory


@pytest.mark.parametrize(("index", "label"), NEEDED)
def test_a_page_needs_its_index(large: ExplainingTransport, index: str, label: str) -> None:
    asked = dict(page_questions(DatabaseService(large), customers=CUSTOMERS))[label]
    large.explain(True)
    asked()
    with_index = blocks(large.plans)
    large.connection.execute("reset role")
    with large.connection.transaction(force_rollback=True):
        large.connection.execute(f"drop index {index}".encode())
        large.explain(True)
        asked()
        large.explain(False)
    tables = (*LARGE, "notifications")
    whole = [*scanned(large.plans, tables), *walked(large.plans, tables)]
    assert whole or blocks(large.plans) > 4 * with_index


def test_a_scan_would_be_seen(large: ExplainingTransport) -> None:
    large.explain(True)
    large.connection.execute("select count(*) from bills where payment_url = 'none'")
    large.explain(False)
    assert scanned(large.plans, LARGE) == ["bills"]


def test_the_answer_to_a_reading_is_found_by_its_meter(large: ExplainingTransport) -> None:
    row = large.connection.execute(
        "select closing_reading_id from bills where status = 'issued' order by id desc limit 1"
    ).fetchone()
    assert row is not None
    # The first time a connection reads the catalogue, too.
    for _ in range(2):
        large.explain(True)
        large.connection.execute("select private.reading_answer(%s, 'stored')", row)
    large.explain(False)
    assert blocks(large.plans) < 1_000


# As after some years, and right after the run of a large utility: agreements have many bills, and
# the statistics know none that ends so late.
_AFTER_A_RUN = """
    alter table bills alter agreement_id set (n_distinct = 100);
    analyze bills;
    update bills set period_start = '2026-10-01', period_end = '2026-11-01'
    where period_end = '2026-10-01'"""


def test_bills_of_an_agreement_are_not_looked_for_among_all_of_a_run(
    large: ExplainingTransport,
) -> None:
    connection, database = large.connection, DatabaseService(large)
    connection.execute("reset role")
    with connection.transaction(force_rollback=True):
        connection.execute("set local session_replication_role = replica")
        for step in _AFTER_A_RUN.split(";"):
            connection.execute(step.encode())
        row = connection.execute(
            "select agreement_id::text, customer_id::text from bills"
            " where period_end = '2026-11-01' order by id limit 1"
        ).fetchone()
        assert row is not None
        agreement, customer = row
        since = date(2026, 10, 15)
        asks: tuple[Callable[[], object], ...] = (
            lambda: database.rebill_context(agreement_id=agreement, since=since),
            lambda: database.billed_use(customer_id=customer, since=since),
        )
        for ask in asks:
            for _ in range(2):
                large.explain(True)
                ask()
            large.explain(False)
            assert blocks(large.plans) < 1_000


@pytest.mark.parametrize("descending", [True, False])
def test_a_month_by_number_is_walked_through_all_its_blocks(
    large: ExplainingTransport, descending: bool
) -> None:
    connection, database = large.connection, DatabaseService(large)
    connection.execute("reset role")
    with connection.transaction(force_rollback=True):
        connection.execute("set local session_replication_role = replica")
        # Some bills of that month were numbered before it, and others after it.
        connection.execute(
            "update bills set period_start = '2026-08-01', period_end = '2026-09-01'"
            " where number % 997 = 0"
        )
        connection.execute(
            "insert into bill_number_blocks select * from private.bill_numbers_counted"
            " on conflict do nothing"
        )
        rows = connection.execute(
            "select number from bills where period_end > '2026-08-01'"
            " and period_end <= '2026-09-01'"
        ).fetchall()
        wanted = BillFilter(ended_after=date(2026, 8, 1), ended_by=date(2026, 9, 1))
        found: list[int | None] = []
        page = PageRequest("number", descending=descending, limit=1_000, counted_to=0)
        while True:
            some = database.list_bills(wanted=wanted, page=page)
            found += [bill.number for bill in some.items]
            if some.last is None or not some.has_after:
                break
            page = replace(page, after=some.last)
    assert len(rows) > 11_900
    assert found == sorted((number for (number,) in rows), reverse=descending)


def test_a_landlords_timeline_reads_no_more_than_others(large: ExplainingTransport) -> None:
    landlord = id_of("c", 7)
    connection = large.connection
    connection.execute("reset role")
    with connection.transaction(force_rollback=True):
        connection.execute("set local session_replication_role = replica")
        for step in _BILLS_OF_A_LANDLORD.split(";"):
            connection.execute(step.encode(), {"landlord": landlord})
        large.explain(True)
        found = DatabaseService(large).timeline(
            of="customer", subject_id=landlord, tables=None, after=None, limit=50
        )
        large.explain(False)
    assert len(found.changes) == 50
    assert {change.table for change in found.changes} == {"bills"}
    assert blocks(large.plans) < 6_000
