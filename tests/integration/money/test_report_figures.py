"""Reports by hand: a small utility whose every figure is known, and a journal that stays."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.identity.auth import NotAllowed, Principal
from services.identity.permissions import Role
from services.records.entries import DepositUse, NewAdjustment, NewPayment, NewReturn
from services.reports import catalogue
from services.reports.definitions import Asked
from tests.integration.money.ties import (
    ALL_DAYS,
    accounts_at,
    assert_journal_balances,
    assert_ties,
    give_back_to_nobody,
    receive_of_nobody,
    rows_of,
)
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility

OCT, NOV, DEC = date(2025, 10, 1), date(2025, 11, 1), date(2025, 12, 1)
OCTOBER, NOVEMBER = Asked(OCT, NOV), Asked(NOV, DEC)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    assert made.services.database.check_ledger().problems == ()
    made.services.close()


def bill(utility: Utility, serial: str, on: date) -> Any:
    """₹540.35: energy 435.80, fixed 61.00; 10% of 424.10, 18% and 1% of 6.00 as taxes."""
    utility.now = datetime(on.year, on.month, on.day, 6, tzinfo=UTC)
    utility.add_meter(serial)
    made = utility.submit(serial, 1117).bill
    assert made is not None
    return made


def receive(utility: Utility, on: date, minor: int, **what: Any) -> str:
    row: dict[str, Any] = {"id": str(uuid4()), "amount_minor": minor, "currency": "INR"}
    row |= {"method": "cash", "received_at": utility.now, "received_on": on}
    utility.services.database.record_payments(
        actor="anita", payments=[NewPayment.model_validate(row | what)]
    )
    return str(row["id"])


def give_back(utility: Utility, payment: str, on: date, minor: int) -> None:
    row: dict[str, Any] = {"id": str(uuid4()), "payment_id": payment, "kind": "refund"}
    row |= {"amount_minor": minor, "method": "bank", "reason": "asked", "on_date": on}
    utility.services.database.record_return(actor="ravi", entry=NewReturn.model_validate(row))


def test_a_bill_and_its_void_are_in_the_register_on_their_own_dates(utility: Utility) -> None:
    first = bill(utility, "M1", date(2025, 10, 5))
    bill(utility, "M2", date(2025, 10, 6))
    utility.services.database.void_bill(
        actor=ADMIN.user, bill_id=first.id, reason="misread", on=date(2025, 11, 3)
    )
    october = rows_of(utility.services, catalogue.REGISTER, OCTOBER)
    assert [(r["date"].day, r["bill"], r["type"], r["total"].text) for r in october] == [
        (5, "INV-000001", "bill", "540.35"),
        (6, "INV-000002", "bill", "540.35"),
    ]
    assert [(r["kwh"], r["net"].text, r["tax"].text) for r in october[:1]] == [
        (Decimal(117), "496.80", "43.55"),
    ]
    (void,) = rows_of(utility.services, catalogue.REGISTER, NOVEMBER)
    assert (void["type"], void["kwh"], void["total"].text, void["note"]) == (
        "void", Decimal(-117), "-540.35", "misread",
    )  # fmt: skip
    revenue = rows_of(utility.services, catalogue.REVENUE)
    assert [(r["month"], r["issued"], r["voided"], r["total"].text) for r in revenue] == [
        ("2025-10", 2, 0, "1080.70"),
        ("2025-11", 0, 1, "-540.35"),
    ]
    assert_ties(utility.services, DEC)


def test_the_journal_of_a_month_by_hand(utility: Utility) -> None:
    first = bill(utility, "M1", date(2025, 10, 5))
    paid = receive(utility, date(2025, 10, 7), 60_000, bill_id=first.id, reference="=1+1")
    give_back(utility, paid, date(2025, 10, 8), 5_000)
    deposit: dict[str, Any] = {"customer_id": first.customer_id, "book": "deposit"}
    receive(utility, date(2025, 10, 9), 20_000, method="cheque", **deposit)
    fee: dict[str, Any] = {"id": str(uuid4()), "customer_id": first.customer_id, "kind": "fee"}
    fee |= {"amount_minor": 900, "currency": "INR", "note": "late", "on_date": date(2025, 10, 10)}
    utility.services.database.add_adjustment(
        actor=ADMIN.user, entry=NewAdjustment.model_validate(fee)
    )
    used = {"id": str(uuid4()), "customer_id": first.customer_id, "currency": "INR"}
    used |= {"amount_minor": 100, "note": "moved", "on_date": date(2025, 10, 11)}
    utility.services.database.use_deposit(actor=ADMIN.user, entry=DepositUse.model_validate(used))
    lines = [
        (r["date"].day, r["account"], *(m.text if m else "" for m in (r["debit"], r["credit"])))
        for r in rows_of(utility.services, catalogue.JOURNAL, OCTOBER)
    ]
    assert lines == [
        (5, "1200", "540.35", ""),
        (5, "4010", "", "435.80"),
        (5, "4030", "", "61.00"),
        (5, "2100", "", "0.06"),
        (5, "2100", "", "42.41"),
        (5, "2100", "", "1.08"),
        (7, "1200", "", "600.00"),
        (7, "1010", "600.00", ""),
        (8, "1200", "50.00", ""),
        (8, "1030", "", "50.00"),
        (9, "2200", "", "200.00"),
        (9, "1020", "200.00", ""),
        (10, "1200", "9.00", ""),
        (10, "4300", "", "9.00"),
        (11, "2200", "1.00", ""),
        (11, "1200", "", "1.00"),
    ]
    assert_ties(utility.services, DEC)


def test_tax_is_added_up_by_rate_with_what_it_is_of(utility: Utility) -> None:
    bill(utility, "M1", date(2025, 10, 5))
    bill(utility, "M2", date(2025, 10, 6))
    database = utility.services.database
    (last,) = utility.bills_of("M2")
    database.void_bill(actor=ADMIN.user, bill_id=last.id, reason="no", on=date(2025, 11, 2))
    of = [
        (r["rate"], r["of_unit"], r["base"], r["amount"].text)
        for r in rows_of(utility.services, catalogue.TAX, OCTOBER)
    ]
    assert of == [
        ("10", "INR", Decimal("848.20"), "84.82"),
        ("1", "INR", Decimal("12.00"), "0.12"),
        ("18", "INR", Decimal("12.00"), "2.16"),
    ]
    november = rows_of(utility.services, catalogue.TAX, NOVEMBER)
    assert [(r["base"], r["amount"].text) for r in november] == [
        (Decimal("-424.10"), "-42.41"),
        (Decimal("-6.00"), "-0.06"),
        (Decimal("-6.00"), "-1.08"),
    ]


def test_money_of_nobody_known_is_in_suspense_until_it_is_assigned(utility: Utility) -> None:
    first = bill(utility, "M1", date(2025, 10, 5))
    unknown = receive_of_nobody(utility.services, 54_035, date(2025, 10, 7))
    assert accounts_at(utility.services, NOV)["2300"] == -54_035
    assert_ties(utility.services, NOV)
    utility.services.database.assign_payment(
        actor=ADMIN.user, payment_id=unknown, bill_id=first.id, customer_id=None
    )
    accounts = accounts_at(utility.services, NOV)
    assert (accounts["2300"], accounts["1200"], accounts["1060"]) == (0, 0, 54_035)
    (online,) = rows_of(utility.services, catalogue.COLLECTIONS, OCTOBER)
    assert (online["cashier"], online["payments"], online["received"].text) == (
        "Stripe", 1, "540.35",
    )  # fmt: skip
    assert_ties(utility.services, DEC)


def test_money_of_nobody_known_goes_back_on_its_own_date(utility: Utility) -> None:
    unknown = receive_of_nobody(utility.services, 54_035, date(2025, 10, 7))
    give_back_to_nobody(utility.services, unknown, 35, date(2025, 11, 2))
    assert accounts_at(utility.services, NOV)["2300"] == -54_035
    assert accounts_at(utility.services, DEC)["2300"] == -54_000
    assert_ties(utility.services, DEC)


def test_the_journal_of_a_closed_month_never_changes(utility: Utility) -> None:
    first = bill(utility, "M1", date(2025, 10, 5))
    second = bill(utility, "M2", date(2025, 10, 6))
    paid = receive(utility, date(2025, 10, 7), 60_000, bill_id=first.id)
    unknown = receive_of_nobody(utility.services, 700, date(2025, 10, 8))
    database = utility.services.database
    before = rows_of(utility.services, catalogue.JOURNAL, OCTOBER)
    database.close_month(actor=ADMIN.user, month=OCT, today=NOV)
    # All of it is said to be of October, and comes into November.
    database.void_bill(actor=ADMIN.user, bill_id=second.id, reason="no", on=date(2025, 10, 9))
    give_back(utility, paid, date(2025, 10, 10), 1_000)
    receive(utility, date(2025, 10, 11), 100, customer_id=first.customer_id)
    receive_of_nobody(utility.services, 300, date(2025, 10, 12))
    database.assign_payment(
        actor=ADMIN.user, payment_id=unknown, bill_id=first.id, customer_id=None
    )
    codes = {"account_codes": {"receivables": "9999", "tax.10": "2110"}}
    desk = utility.services.settings_desk
    desk.change(
        change_id=str(uuid4()),
        body=codes,
        seen=desk.shown(principal=ADMIN).stored,
        principal=ADMIN,
    )
    assert rows_of(utility.services, catalogue.JOURNAL, OCTOBER) == before
    assert_journal_balances(utility.services, ALL_DAYS)
    november = rows_of(utility.services, catalogue.JOURNAL, NOVEMBER)
    assert {row["date"] for row in november} == {NOV}
    assert {"9999", "2110"} <= {row["account"] for row in november}
    assert "1200" not in {row["account"] for row in november}


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.CASHIER, Role.CLERK])
def test_only_who_may_see_the_books_sees_a_report(utility: Utility, role: Role) -> None:
    principal = Principal("some.one", frozenset({role}), None, "token")
    for report in catalogue.REPORTS:
        with pytest.raises(NotAllowed):
            utility.services.reports.rows(report, OCTOBER, principal=principal)
        with pytest.raises(NotAllowed):
            utility.services.reports.page(report, OCTOBER, after=None, limit=10, principal=ENGINEER)


def test_pages_of_a_report_are_all_of_it_once(utility: Utility) -> None:
    for n in range(7):
        bill(utility, f"M{n}", date(2025, 10, 5))
    whole = [tuple(row.values()) for row in rows_of(utility.services, catalogue.REGISTER, OCTOBER)]
    found: list[Any] = []
    after: str | None = None
    for _ in range(4):
        page = utility.services.reports.page(
            catalogue.REGISTER, OCTOBER, after=after, limit=3, principal=ADMIN
        )
        found += page.rows
        after = page.following
        if after is None:
            break
    assert found == whole
    assert [row[1] for row in found] == [f"INV-{n:06d}" for n in range(1, 8)]
