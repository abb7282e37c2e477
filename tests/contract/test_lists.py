"""The lists that people look through, page by key on both transports, with the same answers."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal, get_args
from uuid import uuid4

import pytest

from services.records.base import PageRequest
from services.records.bills import Bill, BillStatus
from services.records.entries import NewReturn
from services.records.ledger import PaymentStatus
from services.records.lists import (
    AccountFilter,
    AccountSort,
    BillFilter,
    BillSort,
    PaymentFilter,
    PaymentSort,
)
from tests.contract.over import Over
from tests.contract.test_accounts import receive, returned
from tests.integration.utility import ACTOR, ADMIN

METERS = 7
METHODS = {"list_bills": BillFilter, "list_accounts": AccountFilter, "list_payments": PaymentFilter}
SORTS = [
    *(("list_bills", sort) for sort in get_args(BillSort)),
    *(("list_accounts", sort) for sort in get_args(AccountSort)),
    *(("list_payments", sort) for sort in get_args(PaymentSort)),
]
# What each row is ordered by, as the pages show it.
KEY_OF: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("list_bills", "period"): lambda bill: bill.period_end,
    ("list_bills", "number"): lambda bill: bill.number or 2**63 - 1,
    ("list_bills", "customer"): lambda bill: bill.customer_name.lower(),
    ("list_bills", "total"): lambda bill: bill.total_minor,
    ("list_bills", "due"): lambda bill: str(bill.due_date or "infinity"),
    ("list_accounts", "account"): lambda account: account.account_no,
    ("list_accounts", "name"): lambda account: account.name.lower(),
    ("list_accounts", "balance"): lambda account: account.balance_minor,
    ("list_accounts", "overdue"): lambda account: account.overdue_minor,
    ("list_payments", "received"): lambda payment: payment.received_on,
    ("list_payments", "amount"): lambda payment: payment.amount_minor,
    ("list_payments", "customer"): lambda payment: (payment.customer_name or "").lower(),
}


@pytest.fixture
def full(over: Over) -> Over:
    """A utility whose bills and payments stand in every state."""
    bills = [billed(over, number) for number in range(4)]
    mark_overdue(over)
    bills += [billed(over, number) for number in range(4, METERS)]
    receive(over, bills[0].total_minor, bill_id=bills[0].id)
    paid = receive(over, 700, bill_id=bills[2].id, reference="UTR 1")
    over.here.record_return(
        actor=ADMIN.user, entry=NewReturn.model_validate(returned(over, payment_id=paid))
    )
    receive(over, 60_000_00, bill_id=bills[3].id)
    receive(over, 100, bill_id=bills[4].id)
    over.here.void_bill(actor=ADMIN.user, bill_id=bills[5].id, reason="a mistake")
    over.utility.add_meter("LD")
    assert over.here.store_job_bills(actor=ACTOR, bills=[over.draft("LD", 1200)]) == (1, [])
    return over


def billed(over: Over, number: int) -> Bill:
    serial = f"L{number}"
    over.utility.add_meter(serial)
    bill = over.utility.submit(serial, 1100 + 10 * (number % 4)).bill
    assert bill is not None
    return bill


def mark_overdue(over: Over) -> None:
    """The bills so far are marked, as the daily job does."""
    day = over.utility.today + timedelta(days=60)
    claim: dict[str, Any] = {"owner": "a", "lease_seconds": 60, "started_by": "test"}
    _, run = over.here.claim_job_run(job="overdue_marking", scheduled_on=day, **claim)
    ref = run.ref(lease_seconds=60)
    outbox = over.utility.services.outbox.plan_for_any("overdue_notice")
    over.here.mark_overdue(actor=ACTOR, run=ref, today=day, limit=100, outbox=outbox)


def walked(over: Over, method: str, request: PageRequest) -> list[Any]:
    """All rows, page after page, and the same again from the last page back to the first."""
    wanted = METHODS[method]()
    page = over.same(method, wanted=wanted, page=request)
    assert not page.has_before
    rows = [*page.items]
    while page.has_after:
        page = over.same(method, wanted=wanted, page=replace(request, after=page.last))
        assert page.has_before
        rows += page.items
    back = over.same(method, wanted=wanted, page=replace(request, backwards=True))
    assert not back.has_after
    backwards = [*back.items]
    while back.has_before:
        before = replace(request, after=back.first, backwards=True)
        back = over.same(method, wanted=wanted, page=before)
        assert back.has_after
        backwards = [*back.items, *backwards]
    assert [row.id for row in backwards] == [row.id for row in rows]
    return rows


@pytest.mark.parametrize(("method", "sort"), SORTS)
def test_each_row_comes_once_in_the_whole_lists_order(full: Over, method: str, sort: str) -> None:
    for descending in (False, True):
        rows = walked(full, method, PageRequest(sort, descending, limit=2))
        whole = full.same(method, wanted=METHODS[method](), page=PageRequest(sort, limit=100))
        assert {row.id for row in rows} == {row.id for row in whole.items}
        assert len(rows) == len(whole.items) == whole.total
        keys = [KEY_OF[method, sort](row) for row in rows]
        assert keys == sorted(keys, reverse=descending)


def test_rows_that_come_or_go_meanwhile_move_no_page(full: Over) -> None:
    first = full.here.list_bills(wanted=BillFilter(), page=PageRequest("number", True, limit=3))
    full.utility.add_meter("NEW")
    assert full.utility.submit("NEW", 1300).bill is not None
    after = PageRequest("number", True, after=first.last, limit=100)
    rest = full.here.list_bills(wanted=BillFilter(), page=after).items
    assert not {bill.id for bill in first.items} & {bill.id for bill in rest}
    assert len(first.items) + len(rest) == METERS + 1


def test_a_list_is_counted_no_further_than_asked(full: Over) -> None:
    def total(counted_to: int) -> int | None:
        page = PageRequest("period", limit=1, counted_to=counted_to)
        return full.same("list_bills", wanted=BillFilter(), page=page).total  # type: ignore[no-any-return]

    assert (total(100), total(METERS + 1), total(2), total(0)) == (METERS + 1, METERS + 1, 3, None)


def test_each_status_filters_as_the_row_itself_says(full: Over) -> None:
    def found(method: str, wanted: Any, sort: str) -> list[Any]:
        return list(full.same(method, wanted=wanted, page=PageRequest(sort, limit=100)).items)

    kinds: list[tuple[str, type[Any], str, Any, set[str]]] = [
        ("list_bills", BillFilter, "period", BillStatus, set(get_args(BillStatus))),
        ("list_payments", PaymentFilter, "received", PaymentStatus, {"applied", "returned"}),
    ]
    for method, kind, sort, statuses, present in kinds:
        everything = found(method, kind(), sort)
        assert present <= {row.status for row in everything}
        for status in get_args(statuses):
            expected = [row.id for row in everything if row.status == status]
            assert [row.id for row in found(method, kind(status=status), sort)] == expected


def test_a_search_takes_words_names_and_whole_numbers(full: Over) -> None:
    def bills(text: str) -> list[str]:
        page = PageRequest("number", limit=100)
        found = full.same("list_bills", wanted=BillFilter(text=text), page=page)
        return [bill.meter_serial for bill in found.items]

    assert bills("house l3") == ["L3"]
    assert bills("a-l3") == bills("HOUSE  L3") == ["L3"]
    assert bills("inv-000002") == bills("INV-2") == ["L1"]
    assert len(bills("inv-")) == METERS
    assert bills("%") == bills("_") == bills("house'--") == []
    (payment,) = full.same(
        "list_payments", wanted=PaymentFilter(text="utr"), page=PageRequest("received")
    ).items
    assert payment.reference == "UTR 1"
    by_bill = PaymentFilter(text="inv-000001")
    (paid,) = full.same("list_payments", wanted=by_bill, page=PageRequest("received")).items
    assert paid.bill_number == 1
    accounts = AccountFilter(text="hill l5")
    (account,) = full.same("list_accounts", wanted=accounts, page=PageRequest("name")).items
    assert account.account_no == "A-L5"


def test_dates_amounts_owed_and_chosen_rows_filter(full: Over) -> None:
    def count(method: Literal["list_bills", "list_payments", "list_accounts"], wanted: Any) -> int:
        sort = {"list_bills": "due", "list_payments": "amount", "list_accounts": "balance"}[method]
        page = PageRequest(sort, limit=100)
        return len(full.same(method, wanted=wanted, page=page).items)

    today, tomorrow = full.utility.today, full.utility.today + timedelta(days=1)
    assert count("list_bills", BillFilter(issued_from=today, issued_to=today)) == METERS
    assert count("list_bills", BillFilter(issued_from=tomorrow)) == 0
    assert count("list_bills", BillFilter(ended_after=today)) == 0
    assert count("list_bills", BillFilter(ended_by=today)) == METERS + 1
    assert count("list_payments", PaymentFilter(received_from=today, received_to=today)) == 4
    assert count("list_payments", PaymentFilter(received_to=today - timedelta(days=1))) == 0
    owing = full.same(
        "list_accounts", wanted=AccountFilter(owing_only=True), page=PageRequest("balance", True)
    ).items
    assert owing
    assert all(account.balance_minor > 0 for account in owing)
    (first, *_) = owing
    assert count("list_accounts", AccountFilter(ids=(first.id, str(uuid4())))) == 1
    assert count("list_accounts", AccountFilter(ids=())) == 0
