"""Reports ask the same over both transports, page by page."""

from datetime import timedelta
from operator import attrgetter

from services.quantities.period import first_of_month, start_of_day
from services.records.entries import NewAdjustment
from services.records.reports.rows import CashCount
from tests.contract.over import Json, Over
from tests.integration.utility import ADMIN


def test_the_journal_is_the_same_over_both_transports(over: Over) -> None:
    span = of_today(over)
    billed_and_paid(over)
    lines, after = over.same("journal_page", **span, after=None, limit=2)
    assert {line.bill_number for line in lines} == {1, 2}
    following, end = over.same("journal_page", **span, after=after, limit=50)
    assert {line.kind for line in following} == {"payment", "credit"}
    assert end is None
    since = over.same("journal_sums", **span)
    assert sum(s.amount_minor for s in since) == 0
    # Added up once and for all, it is the same.
    while over.here.sum_postings(limit=2):
        pass
    key = attrgetter("on_date", "part", "detail", "is_debit", "code")
    assert sorted(over.same("journal_sums", **span), key=key) == sorted(since, key=key)
    (account,) = over.same("ledger_balances_at", span["until"])
    assert account.balance_minor == 108_070 - 10_005 - 500
    assert over.same("utility_settings_of_month", first_of_month(span["start"])).version == 0


def test_rows_of_reports_are_the_same_over_both_transports(over: Over) -> None:
    span = of_today(over)
    billed_and_paid(over)
    rows, after = over.same("report_register", **span, after=None, limit=1)
    assert [r.bill_number for r in rows] == [1]
    rows, after = over.same("report_register", **span, after=after, limit=1)
    assert [r.bill_number for r in rows] == [2]
    assert over.same("report_register", **span, after=after, limit=1) == ([], None)
    (given,), _ = over.same("report_credits", **span, after=None, limit=9)
    assert given.amount_minor == -500
    (revenue,) = over.same("report_revenue", **span)
    assert (revenue.issued, revenue.total_minor) == (2, 108_070)
    (cash,) = over.same("report_collections", **span)
    assert (cash.payments, cash.received_minor) == (2, 10_005)
    asked: Json = {"until": span["until"], "limit": 5}
    assert over.same("report_deposits", **asked, after=None) == ([], None)


def test_debt_reads_and_a_year_are_the_same_over_both_transports(over: Over) -> None:
    span = of_today(over)
    billed_and_paid(over)
    asked: Json = {"until": span["until"], "after": None}
    for until_at in (over.utility.now - timedelta(days=2), over.utility.now + timedelta(days=2)):
        rows, after = over.same("report_aged_debt", **asked, until_at=until_at, limit=1)
        assert after is not None
        rows, after = over.same(
            "report_aged_debt", **asked | {"after": after}, until_at=until_at, limit=2
        )
        assert (len(rows), after) == (1, None)
    assert over.same("report_reads", **span, after=None, limit=2) == ([], None)
    assert over.same("report_unbilled", **span, after=None, limit=2) == ([], None)
    year = over.same("report_year", **span)
    assert [(of.tariff_code, of.agreements) for of in year.supplied] == [("KSEB-LT1A", 2)]


def test_debt_that_is_kept_is_the_same_over_both_transports(over: Over) -> None:
    billed_and_paid(over)
    zone = over.utility.services.settings.timezone
    until = over.utility.today - timedelta(days=1)
    day: Json = {"until": until, "until_at": start_of_day(until, zone)}
    assert over.here.age_debt(**day, limit=5)
    assert [of.until for of in over.same("debts_to_age")] == [until]
    while over.here.age_debt(**day, limit=1):
        pass
    assert over.same("debts_to_age") == []
    assert over.same("report_aged_debt", **day, after=None, limit=5) == ([], None)


def test_a_cashiers_day_is_the_same_over_both_transports(over: Over) -> None:
    billed_and_paid(over)
    today, since = over.utility.today, over.utility.now - timedelta(hours=1)
    cashier = ADMIN.user
    seen = over.same("cash_day", cashier=cashier, on=today, since=since)
    counts = [
        CashCount(currency=r.currency, method=r.method, expected_minor=10_005, counted_minor=10_005)
        for r in seen.rows
    ]
    close: Json = {"actor": cashier, "closing_id": "0d0e0a0c-0000-4000-8000-000000000002"}
    close |= {"cashier": cashier, "on": today, "since": since, "note": ""}
    for _ in range(2):
        over.here.close_cash_day(**close, counts=counts)
    (closing,) = over.same("cash_closings", cashier=cashier, limit=5)
    assert closing.counts == tuple(counts)
    assert over.same("cash_day", cashier=cashier, on=today, since=since).closing == closing
    assert over.same("cash_closings", cashier=None, limit=5) == [closing]


def of_today(over: Over) -> Json:
    today = over.utility.today
    return {"start": today, "until": today + timedelta(days=1)}


def billed_and_paid(over: Over) -> None:
    """Two bills of ₹540.35, ₹100.05 paid of them, ₹5 credited."""
    bills = []
    for serial, minor in (("M1", 10_000), ("M2", 5)):
        over.utility.add_meter(serial)
        bill = over.utility.submit(serial, 1117).bill
        assert bill is not None
        bills.append((bill, minor))
    for bill, minor in bills:
        over.pay(bill, minor)
    credit: Json = {"id": "0d0e0a0c-0000-4000-8000-000000000001", "kind": "credit"}
    credit |= {"customer_id": bills[0][0].customer_id, "amount_minor": 500, "currency": "INR"}
    credit |= {"note": "agreed", "on_date": over.utility.today}
    over.here.add_adjustment(actor=ADMIN.user, entry=NewAdjustment.model_validate(credit))
