"""What people ask of a large utility: the lists, the search and the pages of jobs."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any, Final
from zoneinfo import ZoneInfo

from bench.large.pages import id_of
from bench.large_utility import BILLED_ON
from services.accounts.search import Search
from services.database.service import DatabaseService
from services.history.timeline import Timeline
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.jobs.monthly_bills import A_PART
from services.quantities.period import start_of_day
from services.readings.exceptions import RANKED_TO
from services.readings.round import ReadingRound
from services.records.base import PageRequest
from services.records.lists import AccountFilter, BillFilter, PaymentFilter, PointFilter
from services.records.use_limits import LimitBook

OFFICE: Final = Principal("bench", frozenset({Role.ADMIN}), None, "token")
# Tables that grow with the customers: none of them should be read from end to end.
LARGE: Final = (
    *("customers", "service_points", "meters", "meter_installations", "service_agreements"),
    *("agreement_tariffs", "readings", "bills", "payments", "accounts", "ledger_entries"),
    *("open_items", "audit_log", "credit_notes"),
)
COUNTED_TO: Final = 10_000
Question = tuple[str, Callable[[], Any]]


def questions(database: DatabaseService, *, customers: int) -> Iterator[Question]:
    """Each with its label, of a utility that bench/large_utility.py made."""
    yield from _searches(database, customers * 7 // 10)
    yield from _lists(database, customers * 7 // 10)
    yield from _filters(database)
    yield from _others(database, customers * 7 // 10)
    yield from _rounds(database)


def _searches(database: DatabaseService, n: int) -> Iterator[Question]:
    search = Search(database, lambda: "INR")
    texts = (
        ("account number", f"A{n:07d}"),
        ("name", f"nair {n // 10}"),
        ("street word", "canal road"),
        ("street and number", f"{n % 10000} canal rd"),
        ("phone", f"98{n:08d}"),
        ("meter serial", f"M{n:07d}"),
        ("part of a serial", f"{n:07d}"),
        ("bill number", f"INV-{n:06d}"),
        ("credit note", f"CN-{n:06d}"),
        ("amount", f"{(20000 + n % 50000) // 100}.{n % 100:02d}"),
        ("payment reference", f"UTR{n:09d}"),
        ("nothing", "zebra crossing"),
    )
    for label, text in texts:
        yield f"search: {label}", partial(search.find, text, principal=OFFICE)


def _lists(database: DatabaseService, n: int) -> Iterator[Question]:
    serial, name = f"m{n:07d}", f"nair {n // 10}"
    lists: tuple[tuple[str, str, Any, Any, tuple[tuple[str, str], ...]], ...] = (
        ("bills", "period", database.list_bills, BillFilter, (("number", f"{n + 1}"),)),
        ("customers", "name", database.list_accounts, AccountFilter, (("phone", f"98{n:08d}"),)),
        (
            *("payments", "received", database.list_payments, PaymentFilter),
            (("reference", f"UTR{n:09d}"), ("provider", "pi_c4ca4238a0b923820dcc509a6f75849b")),
        ),
        ("places", "code", database.list_service_points, PointFilter, (("code", f"P{n:07d}"),)),
    )
    texts = (
        *(("account", f"A{n:07d}"), ("name", name), ("serial", serial), ("common name", "nair")),
        *(("nothing", "zebra"), ("two words", f"nair {serial}"), ("a street", "canal")),
        *(("two common words", "nair canal"), ("everybody's word", "ward")),
    )
    for what, sort, ask, wanted, own in lists:
        first = PageRequest(sort, descending=True, limit=25, counted_to=COUNTED_TO)
        last = PageRequest(sort, descending=True, backwards=True, limit=25, counted_to=COUNTED_TO)
        yield f"{what}: first page", partial(ask, wanted=wanted(), page=first)
        yield f"{what}: last page", partial(ask, wanted=wanted(), page=last)
        for label, text in (*texts, *own):
            yield f"{what}: {label}", partial(ask, wanted=wanted(text=text), page=first)
        common = wanted(text="nair")
        yield f"{what}: common name, last page", partial(ask, wanted=common, page=last)


def _filters(database: DatabaseService) -> Iterator[Question]:
    read_by = date.fromisoformat(BILLED_ON) - timedelta(days=30)
    places = (
        *(("vacant", PointFilter(vacant_only=True)), ("never read", PointFilter(never_read=True))),
        ("vacant with use", PointFilter(vacant_with_use=True)),
        ("disconnected", PointFilter(disconnected_only=True)),
        ("not read for a month", PointFilter(last_read_by=read_by)),
        ("vacant, a street", PointFilter(vacant_only=True, text="canal")),
    )
    page = PageRequest("code", limit=25, counted_to=COUNTED_TO)
    for label, wanted in places:
        yield f"places: {label}", partial(database.list_service_points, wanted=wanted, page=page)
    overdue = BillFilter(status="overdue", text="nair")
    by_total = PageRequest("total", descending=True, limit=25, counted_to=COUNTED_TO)
    yield "bills: overdue, common name", partial(database.list_bills, wanted=overdue, page=by_total)
    owing = AccountFilter(owing_only=True, text="nair")
    by_name = PageRequest("name", limit=25, counted_to=COUNTED_TO)
    yield (
        "customers: owing, common name",
        partial(database.list_accounts, wanted=owing, page=by_name),
    )


def _others(database: DatabaseService, n: int) -> Iterator[Question]:
    yield "exceptions", partial(database.exceptions, ranked_to=RANKED_TO, limit=1)
    customer = database.list_accounts(
        wanted=AccountFilter(text=f"A{n:07d}"), page=PageRequest("name")
    ).items[0]
    on = date.fromisoformat(BILLED_ON)
    timeline = Timeline(database, ZoneInfo("Asia/Kolkata"))
    yield "meters: serial", lambda: database.find_meters(text=f"M{n:07d}")
    yield "meters: name", lambda: database.find_meters(text=f"nair {n // 10}")
    yield "meters: nothing", lambda: database.find_meters(text="zebra")
    yield "unbilled use", database.unbilled_use
    yield (
        "candidates of a billing day",
        lambda: database.monthly_bill_candidates(on=on, after=None, limit=1000, billing_day=5),
    )
    yield (
        "candidates, half way",
        lambda: database.monthly_bill_candidates(
            on=on, after=id_of("a", n), limit=1000, billing_day=5
        ),
    )
    yield "parts of a run", lambda: database.agreement_parts(every=A_PART)
    page = database.monthly_bill_candidates(on=on, after=None, limit=200, billing_day=5)
    missing = {one.agreement_id: on for one in page.agreements}
    yield "estimates of 200 agreements", lambda: database.estimate_facts(at=missing)
    yield (
        "timeline of a customer",
        lambda: timeline.of(subject="customer", subject_id=customer.id, principal=OFFICE),
    )


def _rounds(database: DatabaseService) -> Iterator[Question]:
    zone = ZoneInfo("Asia/Kolkata")
    rounds = ReadingRound(database, zone, LimitBook)
    now = start_of_day(date.fromisoformat(BILLED_ON), zone)
    yield "routes of rounds", lambda: rounds.routes(principal=OFFICE, now=now)
    yield (
        "a page of a round",
        lambda: rounds.meters(route="R7", principal=OFFICE, now=now, after=(3, "P"), limit=30),
    )
