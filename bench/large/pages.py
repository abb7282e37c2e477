"""What the pages ask of a large utility beside its lists and search, by page."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from hashlib import md5
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from bench.large_utility import BILLED_ON
from services.accounts.month_end import MonthEnd
from services.database.service import DatabaseService
from services.records.base import PageRequest
from services.records.drafts import DraftChoice, DraftFilter
from services.records.lists import (
    AccountFilter,
    BillFilter,
    CollectedFilter,
    MissedFilter,
    PaymentFilter,
)
from services.records.month_end import AgedKey

ON: Final = date.fromisoformat(BILLED_ON)
_NOW: Final = datetime(ON.year, ON.month, ON.day, tzinfo=UTC)
# A day that has nothing yet, as each day in its morning.
_TOMORROW: Final = datetime(2026, 12, 1, tzinfo=UTC)
_ZONE: Final = ZoneInfo("Asia/Kolkata")
_LAST_MONTH: Final = date(2026, 10, 1)
_MONTH_BILLED: Final = date(2026, 9, 1)
# A user who reads meters, and the last page that people can turn to.
_ENGINEER: Final = "engineer 3"
_FAR: Final = 400
# What begins the label of a question that may look at far more than it answers.
OTHER_ORDER: Final = "other order: "
# Kinds of rows whose ids are in the order of an import.
_IMPORTED: Final = frozenset("cmpiag")
Question = tuple[str, Callable[[], Any]]
Filters = tuple[tuple[str, dict[str, Any]], ...]


def page_questions(database: DatabaseService, *, customers: int) -> Iterator[Question]:
    """Each with the page that asks it."""
    n = customers * 7 // 10 // 2 * 2 + 4
    yield from _office(database)
    yield from _work(database)
    yield from _notifications(database)
    yield from _desks(database)
    yield from _orders(database)
    yield from _customer(database, n)
    yield from _meter(database, n)
    yield from _bill(database, n)
    yield from _credit_notes(database, n)
    yield from _billing(database)


def id_of(kind: str, number: int | str) -> str:
    """The id of a row that bench/large_utility.py made."""
    named = md5(f"{kind}{number}".encode(), usedforsecurity=False).hexdigest()
    if kind in _IMPORTED:
        named = f"{1_788_000_000_000 + int(number) // 20:012x}7{named[13:]}"
    return str(UUID(named))


def read_id(month: int, number: int) -> str:
    """The id of a reading that bench/large_utility.py made."""
    named = md5(f"{month}/{number}".encode(), usedforsecurity=False).hexdigest()
    return str(UUID(f"{4096 + month:012x}{named[12:]}"))


def _office(database: DatabaseService) -> Iterator[Question]:
    books = MonthEnd(database, _ZONE)
    # One that goes on, whenever this is asked.
    this_month = datetime.now(_ZONE).date().replace(day=1)
    yield "overview", lambda: database.overview(today=ON, currency="INR")
    yield "overview: first steps", database.first_steps
    yield "overview, jobs: runs", lambda: database.job_history(at=_NOW)
    yield "month's books", lambda: books.of_month(_LAST_MONTH)
    yield "month's books: receivables", lambda: books.receivables(_LAST_MONTH)
    yield "month's books: receivables now", lambda: books.receivables(this_month)
    late = AgedKey(currency="INR", late=-45_000, id=id_of("c", 1))
    yield "month's books: receivables, next", lambda: books.receivables(this_month, after=late)
    not_late = AgedKey(currency="INR", late=0, id=id_of("c", 1))
    yield (
        "month's books: receivables, not late",
        lambda: books.receivables(this_month, after=not_late),
    )
    yield "month's books: open drafts", lambda: books.open_drafts(_LAST_MONTH)
    yield (
        "metrics",
        lambda: database.operation_log.figures(
            today=ON, day_began=_TOMORROW, month_began=_TOMORROW
        ),
    )
    yield (
        "metrics: bills of a day",
        lambda: database.operation_log.bills_of_span(after=_MONTH_BILLED, until=_LAST_MONTH),
    )
    yield "network: sums", database.graph_sums
    yield "network: backlog", lambda: database.graph_backlog(limit=500, at_least=1)


def _work(database: DatabaseService) -> Iterator[Question]:
    drafts, choice = DraftFilter(), DraftChoice()
    unusual = DraftFilter(outliers_only=True)
    yield "drafts", lambda: database.drafts(drafts)
    yield "drafts: far page", lambda: database.drafts(drafts, page=_FAR)
    yield "drafts: a name", lambda: database.drafts(DraftFilter(text="nair"))
    yield "drafts: unusual", lambda: database.drafts(unusual)
    yield "drafts: totals", lambda: database.draft_totals(choice, compare=[_MONTH_BILLED])
    yield (
        "exceptions: one cause",
        lambda: database.exceptions(cause="high_use", ranked_to=2000, limit=25),
    )
    yield "flagged readings", lambda: database.readings(status="needs_review")
    yield "flagged readings: far page", lambda: database.readings(status="needs_review", page=_FAR)
    yield (
        "flagged readings: of a day",
        lambda: database.flagged_on(read_on=date(2026, 11, 10), limit=100),
    )
    yield "my readings", lambda: database.readings(submitted_by=_ENGINEER)


def _notifications(database: DatabaseService) -> Iterator[Question]:
    yield "notifications", database.notifications
    yield "notifications: far page", lambda: database.notifications(page=_FAR)
    yield "notifications: failed", lambda: database.notifications(status="failed")
    yield "notifications: sent", lambda: database.notifications(status="sent")
    yield "notifications: an account", lambda: database.notifications(text="A0000704")
    yield "notifications: a bill", lambda: database.notifications(text="INV-000704")
    yield "notifications: nothing", lambda: database.notifications(text="zebra")
    yield "notifications: failed work", database.failed_work
    yield "notifications: queue", database.message_queue
    yield "notifications: not printed", database.unprinted_bills


def _desks(database: DatabaseService) -> Iterator[Question]:
    yield "payments: flags", database.open_payment_flags
    yield "payments: bills to decide", database.returned_bills
    yield "payments: failed refunds", lambda: database.returns(status="failed")
    who = PageRequest("account", limit=20, counted_to=0)
    yield (
        "payments: who pays",
        lambda: database.list_accounts(wanted=AccountFilter(text="nair 70"), page=who),
    )
    yield "bank lines", lambda: database.bank_lines(status="open")
    yield "reconciliation", lambda: database.reconciliations(limit=20)
    yield "stripe events", database.stripe_events
    yield "stripe events: far page", lambda: database.stripe_events(page=_FAR)
    yield "stripe events: a text", lambda: database.stripe_events(text="pi_704")
    yield "jobs: history", database.job_runs
    yield (
        "jobs: set aside",
        lambda: database.set_aside(job="monthly_bills", scheduled_on=date(2026, 11, 1)),
    )
    yield "security log", lambda: database.security_events(limit=50)
    yield "security log: a person", lambda: database.security_events(limit=50, who="u41")
    yield "sign-ins", lambda: database.sessions(limit=50)
    yield "refused reads", lambda: database.refused_reads(limit=50)


def _orders(database: DatabaseService) -> Iterator[Question]:
    """Each order of the whole lists, first and last page; each filter in the list's own order."""
    of_bills: Filters = (
        *(("", {}), ("drafts", {"status": "draft"}), ("paid", {"status": "paid"})),
        *(("open", {"status": "issued"}), ("overdue", {"status": "overdue"})),
        *(("void", {"status": "void"}), ("partly paid", {"status": "partially_paid"})),
        ("of a month", {"ended_after": _MONTH_BILLED, "ended_by": _LAST_MONTH}),
        ("of days", {"issued_from": date(2026, 10, 5), "issued_to": date(2026, 10, 6)}),
        ("paid, of days", {"status": "paid", "issued_from": date(2026, 10, 20)}),
        ("open, before", {"status": "issued", "issued_to": date(2026, 9, 1)}),
    )
    of_payments: Filters = (
        *(("", {}), ("unidentified", {"status": "unidentified"})),
        *(("applied", {"status": "applied"}), ("unapplied", {"status": "unapplied"})),
        *(("returned", {"status": "returned"}), ("deposits", {"status": "deposit"})),
        ("of a day", {"received_from": date(2026, 10, 20), "received_to": date(2026, 10, 20)}),
        ("deposits of days", {"status": "deposit", "received_from": date(2026, 10, 20)}),
    )
    lists: tuple[tuple[str, Any, Any, tuple[str, ...], Any], ...] = (
        (
            *("bills", database.list_bills, BillFilter),
            *(("period", "number", "customer", "total", "due"), of_bills),
        ),
        (
            *("customers", database.list_accounts, AccountFilter),
            *(("account", "name"), (("", {}),)),
        ),
        (
            *("payments", database.list_payments, PaymentFilter),
            *(("received", "amount", "customer"), of_payments),
        ),
        (
            *("not read", database.list_missed_reads, MissedFilter),
            ("visit", "times", "place"),
            (("", {}), ("twice", {"at_least": 2}), ("no access", {"reason": "no_access"})),
        ),
        (
            *("smart meters", database.list_meter_collections, CollectedFilter),
            *(("tried", "meter"), (("", {}), ("failed", {"failed": True}))),
        ),
    )
    for what, ask, wanted, sorts, filters in lists:
        for label, given in filters:
            for sort in sorts if not label else sorts[:1]:
                name = f"{what}: {label or 'all'}, by {sort}"
                first = PageRequest(sort, descending=True)
                yield name, partial(ask, wanted=wanted(**given), page=first)
                if not label:
                    last = PageRequest(sort, descending=True, backwards=True, counted_to=0)
                    yield f"{name}, last page", partial(ask, wanted=wanted(), page=last)
    yield from _other_orders(database)


def _other_orders(database: DatabaseService) -> Iterator[Question]:
    """Many rows of a filter in another order than the list's own."""
    month = {"ended_after": date(2026, 8, 1), "ended_by": _MONTH_BILLED}
    in_orders: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("of a month, by total", month, "total"),
        ("of a month, by number", month, "number"),
        ("open, by total", {"status": "issued"}, "total"),
        ("open, by customer", {"status": "issued"}, "customer"),
    )
    for label, given, sort in in_orders:
        page = PageRequest(sort, descending=True)
        wanted = BillFilter(**given)
        name = f"{OTHER_ORDER}bills: {label}"
        yield name, partial(database.list_bills, wanted=wanted, page=page)
    for sort in ("account", "name", "balance", "overdue"):
        page = PageRequest(sort, descending=True)
        owing = AccountFilter(owing_only=True)
        name = f"{OTHER_ORDER}customers: owing, by {sort}"
        yield name, partial(database.list_accounts, wanted=owing, page=page)
    for sort in ("balance", "overdue"):
        name = f"{OTHER_ORDER}customers: all, by {sort}"
        page = PageRequest(sort, descending=True)
        yield name, partial(database.list_accounts, wanted=AccountFilter(), page=page)


def _customer(database: DatabaseService, n: int) -> Iterator[Question]:
    one = id_of("c", n)
    year = {"start": date(2025, 12, 1), "end": date(2026, 11, 1)}
    yield "customer", lambda: database.account(one)
    yield "customer: ledger", lambda: database.ledger(customer_id=one)
    yield "customer: statement", lambda: database.account_statement(customer_id=one, **year)
    yield "customer: fees", lambda: database.adjustments(customer_id=one)
    yield "customer: open bills", lambda: database.open_bills(customer_id=one)
    yield "customer: bills", lambda: database.customer_bills(customer=one, limit=25)
    yield (
        "customer: list of bills",
        lambda: database.list_bills(
            wanted=BillFilter(customer_id=one), page=PageRequest("period", descending=True)
        ),
    )
    yield (
        "customer: list of payments",
        lambda: database.list_payments(
            wanted=PaymentFilter(customer_id=one), page=PageRequest("received", descending=True)
        ),
    )
    yield (
        "customer: bills of an engineer's meters",
        lambda: database.customer_bills(customer=one, limit=25, reader=_ENGINEER),
    )
    yield "customer: past payments", lambda: database.past_payments(customer_id=one)
    yield "customer: meters", lambda: database.meters_of_customer(customer_id=one)
    yield "customer: use", lambda: database.billed_use(since=date(2025, 9, 1), customer_id=one)
    yield "customer: messages", lambda: database.notifications(customer_id=one)
    yield "customer: returns", lambda: database.returns(customer_id=one)
    yield "customer: plans", lambda: database.plans(customer_id=one)
    yield "customer: open credits", lambda: database.open_credits(customer_id=one)
    yield (
        "customer: timeline",
        lambda: database.timeline(of="customer", subject_id=one, tables=None, after=None, limit=50),
    )


def _meter(database: DatabaseService, n: int) -> Iterator[Question]:
    meter, place = id_of("m", n), id_of("p", n)
    yield "meter", lambda: database.meter(meter)
    yield "meter: readings", lambda: database.readings(meter_id=meter)
    yield "meter: use", lambda: database.billed_use(since=date(2025, 9, 1), meter_id=meter)
    yield (
        "meter: days",
        lambda: database.meter_series(
            meter_id=meter, start=date(2026, 10, 1), end=date(2026, 11, 1)
        ),
    )
    yield "meter: photos", lambda: database.photos_of(meter_id=meter, limit=10)
    yield (
        "meter: reads of an engineer",
        lambda: database.has_read_meter(user=_ENGINEER, meter_id=meter),
    )
    yield (
        "meter: timeline",
        lambda: database.timeline(of="meter", subject_id=meter, tables=None, after=None, limit=50),
    )
    yield "place", lambda: database.place(place, on=date(2026, 11, 1))
    yield "place: reads", lambda: database.reads_at_place(place, limit=25)
    yield "place: unbilled use", lambda: database.unbilled_use(service_point_id=place)
    yield (
        "place: timeline",
        lambda: database.timeline(
            of="service_point", subject_id=place, tables=None, after=None, limit=50
        ),
    )
    yield "unbilled use: far page", lambda: database.unbilled_use(page=_FAR)
    yield (
        "submit a reading",
        lambda: database.reading_context(
            meter_serial=f"M{n:07d}", read_at=_NOW, read_on=ON, register_wh=99_000_000
        ),
    )
    yield "limits: meters to try", lambda: database.meter_sample(limit=501)


def _credit_notes(database: DatabaseService, n: int) -> Iterator[Question]:
    asked: tuple[tuple[str, dict[str, Any]], ...] = (
        ("first page", {}),
        ("further on", {"after": n}),
        ("number", {"text": f"cn-{n:06d}"}),
        ("number without zeros", {"text": f"CN-{n}"}),
        ("bill", {"text": f"INV-{n:06d}"}),
        ("account", {"text": f"a{n:07d}"}),
        ("common name", {"text": "nair"}),
        ("two words", {"text": f"nair {n // 10}"}),
        ("nothing", {"text": "zebra"}),
        ("of days", {"start": date(2026, 5, 1), "until": date(2026, 5, 2)}),
        ("of a customer", {"customer_id": id_of("c", n)}),
        ("of a bill", {"bill_id": id_of("b", n)}),
    )
    for label, how in asked:
        yield f"credit notes: {label}", partial(database.credit_notes, limit=21, **how)


def _bill(database: DatabaseService, n: int) -> Iterator[Question]:
    bill, payment = id_of("b", n), id_of("y", n)
    yield "bill", lambda: database.bill(bill)
    yield "bill: readings", lambda: database.reading(read_id(1, n))
    yield "bill: payments", lambda: database.allocations(bill_id=bill)
    yield "bill: corrections", lambda: database.corrections_of_bill(bill)
    yield (
        "bill: later reads",
        lambda: database.accepted_after(meter_id=id_of("m", n), after=_LAST_MONTH),
    )
    yield "bill: messages", lambda: database.notifications(bill_id=bill)
    yield "bill: outbox", lambda: database.outbox_of(bill)
    yield "bill: facts of its PDF", lambda: database.bill_document_facts(bill)
    yield (
        "bill: timeline",
        lambda: database.timeline(of="bill", subject_id=bill, tables=None, after=None, limit=50),
    )
    yield "bill: what a correction needs", lambda: database.rebill_context(bill_id=bill)
    yield "payment", lambda: database.payment(payment)
    yield "payment: allocations", lambda: database.allocations(payment_id=payment)
    yield "payment: flags", lambda: database.payment_flags(payment_id=payment)
    yield "payment: events", lambda: database.stripe_events(payment_id=payment)
    yield "payment: returns", lambda: database.returns(payment_id=payment)
    yield (
        "payment: timeline",
        lambda: database.timeline(
            of="payment", subject_id=payment, tables=None, after=None, limit=50
        ),
    )


def _billing(database: DatabaseService) -> Iterator[Question]:
    tariff = id_of("t", 0)
    yield "tariffs", database.tariffs
    yield "tariff: versions", database.tariff_versions
    yield (
        "tariff: impact",
        lambda: database.billed_uses(tariff_id=tariff, month=_MONTH_BILLED, limit=500),
    )
    yield (
        "tariff: bills to correct",
        lambda: database.bills_to_correct(
            tariff_id=tariff, version_id=id_of("v", 0), after=None, limit=200
        ),
    )
    yield "tariff: reach", lambda: database.tariff_reach(version_id=id_of("v", 0))
    yield (
        "tariff: timeline",
        lambda: database.timeline(
            of="tariff", subject_id=tariff, tables=None, after=None, limit=50
        ),
    )
    yield "bill runs: billing days", database.billing_days
    yield (
        "bill runs: next run",
        lambda: database.monthly_bill_candidates(on=ON, after=None, limit=200, billing_day=ON.day),
    )
    yield "late reads", lambda: database.agreements_to_bill(after=None, limit=200)
    yield (
        "meters to ask",
        lambda: database.meters_to_ask(
            run_started_at=_NOW - timedelta(hours=1), at=_NOW, due_only=False, after=None, limit=200
        ),
    )
