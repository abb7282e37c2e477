"""What people and Stripe ask for beside a run: readings, payments, lists, and every page."""

import http.client
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import psycopg
from streamlit.testing.v1 import AppTest

from bench.large.pages import id_of, read_id
from bench.large_utility import opened_wh, tariffs_from
from bench.monthly_run import AT
from bench.questions import OFFICE
from bench.utility import AGENT
from bench.webhook import paid, post
from pages import registry
from services.accounts.search import Search
from services.container import Services
from services.readings.submission import Submission, parse_submission
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


# What stands in the address of the pages that show one thing.
_SHOWN: Final[dict[str, dict[str, str]]] = {
    registry.BILL.script: {"id": id_of("b", 25)},
    registry.CORRECT_BILL.script: {"id": id_of("b", 25)},
    registry.CORRECT_READING.script: {"id": read_id(1, 25)},
    registry.ESTIMATE_READING.script: {"meter": "M0000025"},
    registry.CUSTOMER.script: {"id": id_of("c", 25)},
    registry.METER.script: {"id": id_of("m", 25)},
    registry.SERVICE_POINT.script: {"id": id_of("p", 25)},
    registry.CHANGE_SUPPLY.script: {"id": id_of("p", 25), "what": "exchange"},
    registry.PAYMENT.script: {"id": id_of("y", 24)},
    registry.RECORD_PAYMENT.script: {"bill": id_of("b", 25)},
    registry.SEARCH.script: {"q": "nair 70"},
    registry.SUBMIT_READING.script: {"meter": "M0000025"},
}
_OF_A_TARIFF: Final = (registry.TARIFF, registry.TARIFF_CORRECTION, registry.TARIFF_EDITOR)


def asks(
    services: Services, connection: psycopg.Connection[Any], *, meters: int, months: int, port: int
) -> dict[str, Ask]:
    """What is asked again and again of a utility with bills of so many months.

    The endpoint of the payments listens on the port.
    """
    database, search = services.database, Search(services.database, lambda: "INR")
    page = PageRequest("period", descending=True)
    submissions, payments = _submissions(services, meters, months), _payments(connection, port)

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


def page_asks(services: Services, *, months: int) -> dict[str, Ask]:
    """Each page as an administrator opens it, run as a browser's visit runs it."""
    tariff = {"code": "LARGE-HOME", "from": tariffs_from(months)}
    shown = _SHOWN | dict.fromkeys((page.script for page in _OF_A_TARIFF), tariff)
    app = AppTest.from_file(str(PROJECT_FOLDER / "pages/main.py"), default_timeout=PAGE_SECONDS)
    roles = OFFICE.roles
    app.session_state["token"] = services.tokens.issue(OFFICE.user, roles, datetime.now(UTC))
    app.run()

    def open_page(script: str) -> None:
        app.query_params.clear()
        for name, value in shown.get(script, {}).items():
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


def _submissions(services: Services, meters: int, months: int) -> Iterator[Ask]:
    """A reading each of meters that the run comes to late: the last ones first."""
    for n in reversed(range(5, meters, max(meters // _PEOPLE, 1))):
        body = {
            "meter_serial": f"M{n:07d}",
            "reading_kwh": str(opened_wh(months) // 1000 + 3 * (100 + n % 1000 // 10)),
            "read_at": AT.isoformat(),
        }
        submission = parse_submission(body, zone=services.settings.timezone, now=AT)

        def submit(submission: Submission = submission) -> None:
            submitted = services.reading_to_bill.submit(
                submission=submission, principal=AGENT, now=AT, arrived_by="the benchmark"
            )
            assert submitted.bill is not None, submitted.outcome

        yield submit


def _payments(connection: psycopg.Connection[Any], port: int) -> Iterator[Ask]:
    """Each the payment of an unpaid bill, as Stripe's event tells it."""

    def tell(event: dict[str, Any]) -> None:
        # A line that nobody used for some seconds is closed by the server.
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        post(line, event)
        line.close()

    for bill, total, currency in connection.execute(_UNPAID.encode(), [_PEOPLE]).fetchall():
        yield partial(tell, paid(bill_id=str(bill), total_minor=total, currency=currency))
