"""The debt as of an earlier day that is kept is what it is without, whatever is posted late."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from services.database.errors import StillWorkingOut
from services.quantities.period import start_of_day
from services.records.reports.rows import DebtRow
from tests.integration.money.walk import Walk
from tests.integration.money.walked import FIRST_DAY
from tests.integration.utility import Utility, make_utility

KEPT = (
    "create or replace function private.debt_is_kept() returns boolean"
    " language sql stable set search_path to '' as 'select {}'"
)


class Debts:
    """A utility of some customers to which all happens that can, and what they owed."""

    def __init__(self, utility: Utility, dsn: str) -> None:
        self.utility, self.dsn = utility, dsn
        self.database = utility.services.database
        self.walk = Walk(utility, customers=7, seed=3, more=True)

    def keep(self, kept: str) -> None:
        with psycopg.connect(self.dsn) as connection:
            connection.execute(KEPT.format(kept).encode())

    def of(self, until: date, *, limit: int = 3) -> list[DebtRow]:
        """All pages as of the day before."""
        rows: list[DebtRow] = []
        after: tuple[str, str] | None = None
        while True:
            found, after = self.database.report_aged_debt(
                **self.day(until), after=after, limit=limit
            )
            rows += found
            if after is None:
                return rows

    def day(self, until: date) -> dict[str, Any]:
        zone = self.utility.services.settings.timezone
        return {"until": until, "until_at": start_of_day(until, zone)}

    def counted(self, table: str) -> int:
        with psycopg.connect(self.dsn) as connection:
            rows = connection.execute(
                sql.SQL("select count(*) from {}").format(sql.Identifier(table))
            ).fetchall()
        return int(rows[0][0])


@pytest.fixture
def debts(database: str, tmp_path: Path) -> Iterator[Debts]:
    made = make_utility(database, tmp_path)
    yield Debts(made, database)
    made.services.close()


def test_what_is_kept_is_what_everybody_owed(debts: Debts) -> None:
    days = [FIRST_DAY + timedelta(days=n) for n in (20, 45, 70)]
    without: dict[date, list[DebtRow]] = {}
    for _ in range(3):
        for _ in range(120):
            debts.walk.step()
        debts.keep("false")
        without = {until: debts.of(until) for until in days}
        debts.keep("true")
        # Nobody works at it but who asks; the second time it is there.
        for _ in range(2):
            assert {until: debts.of(until) for until in days} == without
        assert any(without.values())
    assert debts.counted("debt_days") == 3
    # What came late is worked out again in the background, and is then the same.
    while debts.counted("debt_changes"):
        debts.utility.services.reports.add_up(stop=lambda: False)
    assert {until: debts.of(until) for until in days} == without


def test_a_day_that_is_being_worked_out_says_so(
    debts: Debts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(60):
        debts.walk.step()
    debts.keep("true")
    until = FIRST_DAY + timedelta(days=20)
    monkeypatch.setattr("services.database.queries.reports.rows.SECONDS", -1)
    with pytest.raises(StillWorkingOut, match="being worked out, 0% so far"):
        debts.of(until)
    assert debts.database.debts_to_age() == []
    for _ in range(2):
        assert debts.database.age_debt(**debts.day(until), limit=2)
    assert [day.until for day in debts.database.debts_to_age()] == [until]
    debts.utility.services.reports.add_up(stop=lambda: False)
    assert debts.database.debts_to_age() == []
    assert debts.of(until)


def test_only_the_last_few_days_are_kept_and_none_that_is_not_over(debts: Debts) -> None:
    debts.keep("true")
    for n in range(7):
        debts.of(FIRST_DAY + timedelta(days=n))
    assert debts.counted("debt_days") == 5
    today = debts.utility.today
    debts.of(today + timedelta(days=2))
    assert debts.counted("debt_days") == 5
    assert not debts.database.age_debt(**debts.day(today + timedelta(days=2)), limit=5)
