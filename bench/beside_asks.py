"""What people and Stripe ask for beside a run: readings, payments, lists, and every page."""

import http.client
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import md5
from typing import Any, Final
from uuid import UUID

import psycopg
from streamlit.testing.v1 import AppTest

from bench.monthly_run import AT
from bench.questions import OFFICE
from bench.utility import AGENT
from bench.webhook import paid, post
from pages import registry
from services.accounts.search import Search
from services.container import Services
from services.readings.submission import parse_submission
from services.records.base import PageRequest
from services.records.lists import BillFilter
from services.settings import PROJECT_FOLDER

Ask = Callable[[], object]
PAGE_SECONDS: Final = 60
_PEOPLE: Final = 2_000
_UNPAID: Final = """
    select id, total_minor, currency from bills
    where status = 'issued' and period_end = '2026-10-01' and amount_paid_minor = 0
    order by id limit %s"""
# There is none of these in the utility that is measured.
_WITHOUT: Final = (registry.USER, registry.FLAGGED_READING)


def _id(of: str) -> str:
    """The id that bench/large_utility.py gives."""
    return str(UUID(md5(of.encode()).hexdigest()))  # noqa: S324 - an id, nothing secret


# What stands in the address of the pages that show one thing.
_TARIFF: Final = {"code": "LARGE-HOME", "from": "2026-01-01"}
_SHOWN: Final[Mapping[str, Mapping[str, str]]] = {
    registry.BILL.script: {"id": _id("b25")},
    registry.CORRECT_BILL.script: {"id": _id("b25")},
    registry.CORRECT_READING.script: {"id": _id("r1/25")},
    registry.ESTIMATE_READING.script: {"meter": "M0000025"},
    registry.CUSTOMER.script: {"id": _id("c25")},
    registry.METER.script: {"id": _id("m25")},
    registry.SERVICE_POINT.script: {"id": _id("p25")},
    registry.CHANGE_SUPPLY.script: {"id": _id("p25"), "what": "exchange"},
    registry.PAYMENT.script: {"id": _id("y24")},
    registry.RECORD_PAYMENT.script: {"bill": _id("b25")},
    registry.SEARCH.script: {"q": "nair 70"},
    registry.SUBMIT_READING.script: {"meter": "M0000025"},
    registry.TARIFF.script: _TARIFF,
    registry.TARIFF_CORRECTION.script: _TARIFF,
    registry.TARIFF_EDITOR.script: _TARIFF,
}


def asks(
    services: Services, connection: psycopg.Connection[Any], *, meters: int, port: int
) -> dict[str, Ask]:
    """What is asked again and again; the endpoint of the payments listens on the port."""
    database, search = services.database, Search(services.database, lambda: "INR")
    page = PageRequest("period", descending=True)
    submissions, payments = _submissions(services, meters), _payments(connection, port)

    def submit() -> object:
        return next(submissions)()

    def pay() -> object:
        return next(payments)()

    return {
        "reading to stored bill": submit,
        "signed event to marked paid": pay,
        "list of bills": lambda: database.list_bills(wanted=BillFilter(), page=page),
        "search by name": lambda: search.find("nair 70", principal=OFFICE),
    }


def page_asks(services: Services) -> dict[str, Ask]:
    """Each page as an administrator opens it, run as a browser's visit runs it."""
    app = AppTest.from_file(str(PROJECT_FOLDER / "pages/main.py"), default_timeout=PAGE_SECONDS)
    roles = OFFICE.roles
    app.session_state["token"] = services.tokens.issue(OFFICE.user, roles, datetime.now(UTC))
    app.run()

    def open_page(script: str) -> None:
        app.query_params.clear()
        for name, value in _SHOWN.get(script, {}).items():
            app.query_params[name] = value
        app.switch_page(script).run()
        assert not app.exception, (script, [one.value for one in app.exception])
        assert app.title or app.subheader, script

    entries = [one for one in vars(registry).values() if isinstance(one, registry.PageEntry)]
    return {
        f"page {one.title}": partial(open_page, one.script)
        for one in entries
        if one not in _WITHOUT
    }


def _submissions(services: Services, meters: int) -> Iterator[Ask]:
    """A reading each of meters that the run comes to late: the last ones first."""
    for n in reversed(range(5, meters, max(meters // _PEOPLE, 1))):
        body = {
            "meter_serial": f"M{n:07d}",
            "reading_kwh": str(1000 + 3 * (100 + n % 1000 // 10)),
            "read_at": AT.isoformat(),
        }
        submission = parse_submission(body, zone=services.settings.timezone, now=AT)
        yield partial(
            services.reading_to_bill.submit,
            submission=submission,
            principal=AGENT,
            now=AT,
            arrived_by="the benchmark",
        )


def _payments(connection: psycopg.Connection[Any], port: int) -> Iterator[Ask]:
    """Each the payment of an unpaid bill, as Stripe's event tells it."""

    def tell(event: dict[str, Any]) -> None:
        # A line that nobody used for some seconds is closed by the server.
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        post(line, event)
        line.close()

    for bill, total, currency in connection.execute(_UNPAID.encode(), [_PEOPLE]).fetchall():
        yield partial(tell, paid(bill_id=str(bill), total_minor=total, currency=currency))
