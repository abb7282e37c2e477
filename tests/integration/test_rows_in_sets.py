"""What the database refuses of rows that refer to nothing, checked for a statement as a whole."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.integration.utility import ENGINEER, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def refused(database: str, statement: str, *, match: str) -> None:
    """It is refused even to the owner of the tables, who lacks no right."""
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'intruder', false)")
        with pytest.raises(psycopg.Error, match=match):
            connection.execute(sql.SQL(statement))


COPY = """
    insert into public.{table} ({columns})
    select {columns} from jsonb_populate_record(
        (select t from public.{table} t limit 1), '{changed}')"""


def copied(database: str, table: str, changed: str) -> str:
    """A statement that inserts the table's row once more, with changes."""
    with psycopg.connect(database) as connection:
        columns = connection.execute(
            "select string_agg(quote_ident(column_name), ', ') from information_schema.columns "
            "where table_schema = 'public' and table_name = %s and is_identity = 'NO' "
            "and column_name not in ('created_by', 'posting_no')",
            [table],
        ).fetchone()
    assert columns is not None
    return COPY.format(table=table, columns=columns[0], changed=changed)


NOBODY = "00000000-0000-4000-8000-000000000000"
VOID = f'"id": "{NOBODY}", "number": 99, "status": "void", "void_reason": "x"'


@pytest.mark.parametrize(
    ("table", "changed", "match"),
    [
        ("bills", f'{{{VOID}, "opening_reading_id": "{NOBODY}"}}', "two reads that are there"),
        ("bills", f'{{{VOID}, "closing_reading_id": "{NOBODY}"}}', "two reads that are there"),
        ("bills", f'{{{VOID}, "tariff_version_id": "{NOBODY}"}}', "one that it was priced by"),
        ("bills", f'{{{VOID}, "priced_by": ["{NOBODY}"]}}', "new version of the tariff"),
        ("bills", f'{{{VOID}, "meter_id": "{NOBODY}"}}', "two accepted reads of its meter"),
        ("bills", f'{{{VOID}, "customer_id": "{NOBODY}"}}', "accepted reads|foreign key"),
        ("bills", f'{{{VOID}, "agreement_id": "{NOBODY}"}}', "reads that are there|foreign key"),
        (
            "ledger_entries",
            f'{{"id": "{NOBODY}", "entry_no": 2, "balance_minor": 108070, "bill_id": "{NOBODY}"}}',
            "of a bill, that is there",
        ),
        (
            "ledger_entries",
            f'{{"id": "{NOBODY}", "currency": "XTS", "kind": "fee", "note": "x", "bill_id": null}}',
            "of an account",
        ),
        ("open_items", f'{{"entry_id": "{NOBODY}"}}', "what its ledger entry is"),
        ("outbox", f'{{"id": "{NOBODY}", "bill_id": "{NOBODY}"}}', "bill that is there"),
    ],
)
def test_a_row_that_refers_to_none_is_refused(
    utility: Utility, database: str, table: str, changed: str, match: str
) -> None:
    utility.add_meter("M1")
    assert utility.submit("M1", 1117).bill is not None
    refused(database, copied(database, table, changed), match=match)


@pytest.mark.parametrize(
    "change",
    [
        # What bills, entries and open items refer to stays, and stays the same.
        """update public.service_agreements set customer_id = (
               select id from public.customers where account_no = 'A-M2')
           where id = (select agreement_id from public.bills)""",
        "update public.accounts set currency = 'XTS'",
        "update public.accounts set customer_id = gen_random_uuid()",
        "update public.bills set id = gen_random_uuid()",
        "update public.readings set id = gen_random_uuid()",
        "update public.readings set meter_id = (select id from public.meters where serial = 'M2')",
        "update public.tariff_versions set id = gen_random_uuid()",
        "update public.ledger_entries set id = gen_random_uuid()",
        "delete from public.customers where account_no = 'A-M1'",
        "delete from public.meters where serial = 'M1'",
        "delete from public.service_agreements",
        "delete from public.accounts",
        "delete from public.tariff_versions",
        "delete from public.ledger_entries",
        "truncate public.accounts",
        "truncate public.readings cascade",
        "truncate public.bills cascade",
    ],
)
def test_what_rows_refer_to_stays_as_it_is(utility: Utility, database: str, change: str) -> None:
    utility.add_meter("M1")
    utility.add_meter("M2")
    assert utility.submit("M1", 1117).bill is not None
    refused(
        database, change, match=r"never|foreign key|not in another currency|no longer|overwritten"
    )


def test_nobody_makes_a_bill_in_anothers_name(utility: Utility, database: str) -> None:
    utility.add_meter("M1")
    assert utility.submit("M1", 1117).bill is not None
    with psycopg.connect(database) as connection:
        assert connection.execute("select created_by from bills").fetchall() == [(ENGINEER.user,)]
    again = copied(database, "bills", f"{{{VOID}}}")
    forged = again.replace("bills (", "bills (created_by, ", 1)
    forged = forged.replace("select ", "select 'somebody', ", 1)
    refused(database, forged, match="nobody says it for them")
    with (
        psycopg.connect(database) as connection,
        pytest.raises(psycopg.Error, match="must name its actor"),
    ):
        connection.execute(sql.SQL(again))
    refused(database, "update public.bills set created_by = 'somebody'", match="never change")
