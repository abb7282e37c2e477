"""The totals that are kept equal what bills and entries come to, whoever writes beside whom."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from bench.large_utility import fill
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from tests.integration.server_process import superuser_dsn
from tests.servers import MIGRATIONS

CUSTOMERS = 400
_WRONG = "select subject, detail from private.wrong_totals()"
_PARTS = "select (select count(*) from bill_totals), (select count(*) from ledger_totals)"
# Paid, marked, void again: each statement of one bill, as webhooks write them.
_PAY = """
    update bills set amount_paid_minor = total_minor
    where id = md5('b' || %s)::uuid and status = 'issued'"""
_MARK = "update bills set overdue_since = '2026-11-20' where id = md5('b' || %s)::uuid"


_AGREED = """
    update service_agreements set billing_day = 9 where id >= %(one)s;
    update service_points set route = 'R0' where route > 'R2';
    insert into agreement_tariffs (id, agreement_id, starts_on, tariff_id)
    select gen_random_uuid(), %(one)s, '2026-11-20', t.id from tariffs t
    where t.id <> private.tariff_agreed_on(%(one)s) limit 1;
    update agreement_tariffs set tariff_id = private.tariff_agreed_on(%(one)s),
        starts_on = starts_on + 1
    where agreement_id = %(one)s;
    update service_agreements set ends_on = '2026-11-25', closing_reading_id = opening_reading_id
    where id = %(one)s;
    update service_agreements set ends_on = null, closing_reading_id = null
    where ends_on = '2026-11-25';
    delete from agreement_tariffs where agreement_id = %(one)s and starts_on > '2026-11-19'"""
_RULES = {
    "service_agreements": ("never_two_agreements",),
    "agreement_tariffs": ("one_currency", "refuse_delete"),
}


@pytest.fixture(scope="module")
def dsn(embedded_server: EmbeddedPostgres) -> Iterator[str]:
    name = "kept_totals"
    apply_migrations(embedded_server.database(name), MIGRATIONS)
    owner = superuser_dsn(embedded_server, database=name)
    with psycopg.connect(owner, autocommit=True) as connection:
        fill(connection, customers=CUSTOMERS, months=3)
        # The rules that a payment keeps are not what is asked here.
        connection.execute("alter table bills disable trigger bills_guard")
        connection.execute("alter database kept_totals set billing.actor = 'office'")
        yield owner


def test_what_is_written_at_once_is_all_counted(dsn: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda first: _write(dsn, first), range(4)))
    with psycopg.connect(dsn) as connection:
        assert connection.execute(_WRONG).fetchall() == []
        # What came together was added up on the way, if not all of it.
        parts = connection.execute(_PARTS).fetchone()
        assert parts is not None
        assert parts[0] < CUSTOMERS
        connection.execute("select private.add_up_totals()")
        states = connection.execute(
            "select count(*), count(distinct (currency, month, state, tariff_version_id, priced_by,"
            " ended_in, due_date)) from bill_totals"
        ).fetchone()
        assert states is not None
        assert states[0] == states[1]
        assert connection.execute(_WRONG).fetchall() == []


def test_what_was_rolled_back_is_in_no_total(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("update bills set amount_paid_minor = 0")
        connection.rollback()
        assert connection.execute(_WRONG).fetchall() == []


def test_whoever_adds_up_waits_for_nobody(dsn: str) -> None:
    with psycopg.connect(dsn) as first, psycopg.connect(dsn) as second:
        first.execute(_MARK.encode(), [1])
        first.execute("select private.add_up_totals()")
        second.execute("set lock_timeout = '2s'")
        second.execute(_MARK.encode(), [3])
        second.execute("select private.add_up_totals()")
        second.commit()
        first.commit()
        assert first.execute(_WRONG).fetchall() == []


def test_the_system_s_own_role_may_add_up(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(_MARK.encode(), [5])
        connection.execute(_MARK.encode(), [7])
        connection.execute("set role service_role")
        connection.execute("select private.add_up_totals()")
        connection.execute("reset role")
        assert connection.execute(_WRONG).fetchall() == []


def test_what_is_late_is_kept_until_it_is_paid(dsn: str) -> None:
    late = "select coalesce(sum(overdue_minor), 0) from overdue_accounts where customer_id = %s"
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "select id, customer_id, total_minor from bills where id = ("
            "select id from bills where status = 'issued' order by number desc limit 1)"
        ).fetchone()
        assert found is not None
        bill, customer, total = found

        def kept(changed: str) -> int:
            changes = f"update bills set {changed} where id = %s"  # noqa: S608  from this test
            connection.execute(changes.encode(), [bill])
            row = connection.execute(late, [customer]).fetchone()
            assert row is not None
            return int(row[0])

        before = kept("amount_paid_minor = 0, overdue_since = null")
        assert kept("overdue_since = '2026-11-20'") == before + total
        assert kept("amount_paid_minor = 100") == before + total - 100
        assert kept("amount_paid_minor = total_minor") == before
        assert kept("amount_paid_minor = 0") == before + total
        assert kept("status = 'void', void_reason = 'wrong'") == before
        assert connection.execute(_WRONG).fetchall() == []
        connection.rollback()


def test_what_is_agreed_on_is_counted_as_it_changes(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        # The rules of what may be agreed on are not what is asked here.
        for table, rules in _RULES.items():
            for rule in rules:
                connection.execute(f"alter table {table} disable trigger {rule}".encode())
        one = connection.execute(
            "select id from service_agreements where ends_on is null order by id limit 1"
        ).fetchone()
        assert one is not None
        for change in _AGREED.split(";"):
            done = connection.execute(change.encode(), {"one": one[0]})
            assert done.rowcount > 0, change
            assert connection.execute(_WRONG).fetchall() == [], change
        connection.execute("update supply_totals set number = number + 1 where kind = 'route'")
        assert connection.execute(_WRONG).fetchall() != []
        connection.rollback()


def test_a_draft_is_compared_again_when_its_past_changes(dsn: str) -> None:
    signs = "select past_use[1], outlier from draft_signs where bill_id = %s"
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "select id, agreement_id from bills where status = 'draft' order by id limit 1"
        ).fetchone()
        assert found is not None
        draft, agreement = found
        assert connection.execute(signs, [draft]).fetchone() == (2, False)
        connection.execute(
            "update bills set status = 'void', void_reason = 'wrong' where id = (select id from"
            " bills where agreement_id = %s and status = 'issued' order by period_end limit 1)",
            [agreement],
        )
        assert connection.execute(signs, [draft]).fetchone() == (1, False)
        assert connection.execute(_WRONG).fetchall() == []
        connection.execute("update bills set held_because = 'Looks wrong' where id = %s", [draft])
        assert connection.execute(signs, [draft]).fetchone() == (1, True)
        connection.execute("update draft_signs set outlier = false")
        assert connection.execute(_WRONG).fetchall() != []
        connection.execute(
            "update bills set status = 'void', void_reason = 'wrong' where id = %s", [draft]
        )
        assert connection.execute(signs, [draft]).fetchone() is None
        connection.rollback()


def test_a_wrong_total_is_named_and_made_again(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("delete from ledger_totals where kind = 'payment'")
        connection.execute(
            "insert into overdue_accounts as a select customer_id, currency, 1 from bills limit 1"
            " on conflict (customer_id, currency) do update set overdue_minor = a.overdue_minor + 1"
        )
        connection.execute(
            "update bill_totals set paid_minor = paid_minor + 1 where state = 'paid'"
        )
        found = connection.execute(_WRONG).fetchall()
        assert {subject.split()[-1] for subject, _ in found} == {"bank", "paid", "late"}
        answer = connection.execute("select public.check_ledger('{}')").fetchone()
        assert answer is not None
        assert {problem["what"] for problem in answer[0]["problems"]} >= {"total"}
        connection.execute("select private.make_totals()")
        assert connection.execute(_WRONG).fetchall() == []
        connection.rollback()


def _write(dsn: str, first: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for number in range(first, CUSTOMERS, 4):
            connection.execute(_PAY.encode(), [number])
            connection.execute(_MARK.encode(), [number])
