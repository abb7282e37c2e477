"""A cashier's day is closed once, against what was counted, and no payment is in two or none."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange
from services.identity.auth import NotAllowed, Principal
from services.identity.permissions import Role
from services.quantities.money import InvalidMoney
from services.records.entries import NewPayment, NewReturn
from services.records.reports.rows import CashDay
from tests.integration.utility import ENGINEER, Utility, make_utility

ANITA = Principal("anita", frozenset({Role.CASHIER}), None, "token")
RAVI = Principal("ravi", frozenset({Role.CASHIER}), None, "token")
AUDITOR = Principal("ann", frozenset({Role.AUDITOR}), None, "token")


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    made.add_meter("M1")
    assert made.submit("M1", 1117).bill
    yield made
    made.services.close()


def take(utility: Utility, minor: int, method: str = "cash", by: Principal = ANITA) -> str:
    (bill,) = utility.bills_of("M1")
    row: dict[str, Any] = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": minor}
    row |= {"currency": "INR", "method": method, "received_at": utility.now}
    row |= {"received_on": utility.today}
    utility.services.database.record_payments(
        actor=by.user, payments=[NewPayment.model_validate(row)]
    )
    return str(row["id"])


def of_today(utility: Utility, by: Principal = ANITA) -> CashDay:
    return utility.services.reports.cash_days.today(principal=by, now=utility.now)


def close(
    utility: Utility, seen: CashDay, *typed: str, note: str = "", now: datetime | None = None
) -> None:
    keys = [(row.currency, row.method) for row in seen.rows]
    utility.services.reports.cash_days.close(
        closing_id=str(uuid4()),
        seen=seen,
        typed=dict(zip(keys, typed, strict=True)),
        note=note,
        principal=ANITA,
        now=now or utility.now,
    )


def test_what_was_taken_by_method_is_closed_once(utility: Utility) -> None:
    paid = take(utility, 10_000)
    take(utility, 2_500, "cheque")
    take(utility, 700, by=RAVI)
    back: dict[str, Any] = {"id": str(uuid4()), "payment_id": paid, "kind": "refund"}
    back |= {"amount_minor": 1_000, "method": "cash", "reason": "asked", "on_date": utility.today}
    utility.services.database.record_return(actor="anita", entry=NewReturn.model_validate(back))
    seen = of_today(utility)
    assert [(r.method, r.payments, r.expected_minor) for r in seen.rows] == [
        ("cash", 1, 9_000),
        ("cheque", 1, 2_500),
    ]
    with pytest.raises(IllegalChange, match="Say in the note"):
        close(utility, seen, "89", "25")
    with pytest.raises(InvalidMoney):
        close(utility, seen, "", "25")
    close(utility, seen, "89", "25", note="1 rupee lost")
    with pytest.raises(IllegalChange, match="closed already"):
        close(utility, of_today(utility))
    days = utility.services.reports.cash_days
    (closing,) = days.closings(principal=ANITA)
    assert [(c.expected_minor, c.counted_minor) for c in closing.counts] == [
        (9_000, 8_900),
        (2_500, 2_500),
    ]
    assert (closing.cashier, closing.closed_by, closing.note) == ("anita", "anita", "1 rupee lost")
    assert days.closings(principal=AUDITOR) == [closing]
    assert days.closings(principal=RAVI) == []


def test_what_comes_after_a_closing_is_in_the_next_one(utility: Utility) -> None:
    take(utility, 10_000)
    close(utility, of_today(utility), "100")
    assert of_today(utility).rows == ()
    take(utility, 300)
    later = of_today(utility)
    assert [r.expected_minor for r in later.rows] == [300]
    tomorrow = utility.now + timedelta(days=1)
    close(utility, later, "3", now=tomorrow)
    closings = utility.services.reports.cash_days.closings(principal=ANITA)
    assert [[c.expected_minor for c in closing.counts] for closing in closings] == [[300], [10_000]]
    assert of_today(utility, RAVI).rows == ()


def test_a_payment_that_came_while_it_was_counted_is_not_lost(utility: Utility) -> None:
    take(utility, 10_000)
    seen = of_today(utility)
    take(utility, 500)
    with pytest.raises(IllegalChange, match="meanwhile"):
        close(utility, seen, "100")
    close(utility, of_today(utility), "105")


@pytest.mark.parametrize("principal", [ENGINEER, AUDITOR])
def test_only_who_takes_money_closes_a_day(utility: Utility, principal: Principal) -> None:
    with pytest.raises(NotAllowed):
        utility.services.reports.cash_days.today(principal=principal, now=utility.now)
    with pytest.raises(NotAllowed):
        utility.services.reports.cash_days.close(
            closing_id=str(uuid4()), seen=of_today(utility), typed={}, note="",
            principal=principal, now=utility.now,
        )  # fmt: skip
