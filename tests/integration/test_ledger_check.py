"""A ledger that is too large to be added up while somebody waits: checked at night, and closed by
what that found.
"""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from services.database.errors import IllegalChange, RunTakenOver
from services.identity.auth import NotAllowed
from services.jobs import ledger_check
from services.jobs.by_hand import run_job
from services.records.month_end import KeptLedgerCheck
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility

OCT = date(2025, 10, 1)
ISSUED = datetime(2025, 10, 5, 6, tzinfo=UTC)
LATER = datetime(2026, 2, 10, 6, tzinfo=UTC)
TWO_DAYS_OLD = """
    insert into public.ledger_checks
        (began_at, finished_at, checked_by, entries, problems, balances)
    select t, t, 'job:ledger_check', 1, '[]', '[]'
    from (select now() - interval '37 hours' as t) x"""
SPOILT = "update public.open_items set open_minor = open_minor + %s"


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    """With one bill, and a ledger that counts as large."""
    made = make_utility(database, tmp_path)
    made.now = ISSUED
    made.add_meter("M1")
    made.submit("M1", 1117)
    sql(
        database,
        "create or replace function private.ledger_is_large() returns boolean"
        " language sql stable set search_path to '' as 'select true'",
    )
    yield made
    made.services.close()


def sql(dsn: str, text: str, *values: Any) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(text.encode(), values)


def close(utility: Utility) -> None:
    utility.services.books.close(month=OCT, principal=ADMIN, now=LATER)


def check(utility: Utility) -> str:
    """Run the job; what it says of itself."""
    return run_job(utility.services, "ledger_check", datetime.now(UTC), "test").detail


def test_it_closes_by_a_check_of_the_last_36_hours_and_not_without(
    utility: Utility, database: str
) -> None:
    books = utility.services.books
    assert books.check_ledger(principal=ADMIN) is None
    with pytest.raises(IllegalChange, match="not checked within the last 36 hours"):
        close(utility)
    sql(database, TWO_DAYS_OLD)
    with pytest.raises(IllegalChange, match="not checked within"):
        close(utility)
    assert check(utility) == "The ledger adds up: 1 entry."
    found = books.check_ledger(principal=ADMIN)
    assert isinstance(found, KeptLedgerCheck)
    assert (found.entries, found.problems, found.checked_by) == (1, (), "job:ledger_check")
    assert [(b.book, b.balance_minor) for b in found.balances] == [("account", 54_035)]
    close(utility)
    assert books.of_month(OCT).is_closed(OCT)


def test_what_does_not_add_up_is_named_and_keeps_the_month_open(
    utility: Utility, database: str
) -> None:
    assert check(utility) == "The ledger adds up: 1 entry."
    sql(database, SPOILT, -1)
    said = check(utility)
    assert (
        said == "The ledger does not add up: 2 problems among 1 entry; Reconciliation lists them."
    )
    found = utility.services.books.check_ledger(principal=ADMIN)
    assert found is not None
    assert {problem.what for problem in found.problems} == {"open", "bill"}
    with pytest.raises(IllegalChange, match="did not add up at its last check"):
        close(utility)
    sql(database, SPOILT, 1)
    check(utility)
    close(utility)


def test_the_lease_is_kept_while_the_database_adds_up(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_check, "_LOOK_SECONDS", 0.05)
    kept: list[str] = []
    real = utility.services.database.record_ledger_check

    def slow(**given: Any) -> KeptLedgerCheck:
        time.sleep(0.5)
        return real(**given)

    noted = utility.services.database.note_job_progress

    def note(**given: Any) -> None:
        kept.append("noted")
        noted(**given)

    monkeypatch.setattr(utility.services.database, "record_ledger_check", slow)
    monkeypatch.setattr(utility.services.database, "note_job_progress", note)
    assert check(utility) == "The ledger adds up: 1 entry."
    # Once while it waits, and once with the number of entries.
    assert len(kept) == 2


def test_an_attempt_that_was_taken_over_leaves_no_check(utility: Utility) -> None:
    run = run_job(utility.services, "ledger_check", datetime.now(UTC), "test")
    before = utility.services.database.last_ledger_check()
    older = run.ref(lease_seconds=90)
    with pytest.raises(RunTakenOver):
        utility.services.database.record_ledger_check(actor="test", run=older)
    assert utility.services.database.last_ledger_check() == before


def test_the_books_are_needed_to_see_it(utility: Utility) -> None:
    with pytest.raises(NotAllowed):
        utility.services.books.check_ledger(principal=ENGINEER)
