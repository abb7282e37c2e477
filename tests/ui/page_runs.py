"""Pages run without a browser over a real database: signing in, pressing, what they say."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from scheduler import Scheduler
from services.bootstrap import build_services, run_with, wire
from services.container import Services
from services.database.service import DatabaseService
from services.database.transport import DatabaseError, Selection, TemporaryDatabaseError
from services.database.transports.postgres import DirectTransport
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.quantities.period import local_date, start_of_day
from services.readings.submission import parse_submission
from services.records.bills import Bill
from services.records.readings import Reading
from services.settings import PROJECT_FOLDER, load_settings
from tests.ui.list_rows import list_words

ENGINEER_PAGES = ("readings/submit_reading.py", "readings/my_readings.py", "bills/bill.py")
ADMIN_PAGES = (
    "system/overview.py",
    "bills/bills.py",
    "reconciliation/reconciliation.py",
    "readings/flagged_readings.py",
    "readings/flagged_reading.py",
    "system/jobs.py",
)
OFFICE = Principal("office", frozenset({Role.ADMIN}), None, "token")
NEW_SERIAL = (f"KS-{number}" for number in itertools.count(1000))
TARIFF = json.loads((PROJECT_FOLDER / "examples/tariffs/kseb-lt1a.json").read_text())


@pytest.fixture(scope="module")
def services(own_settings: dict[str, str]) -> Iterator[Services]:
    """Services over a database of this module's own, with one tariff."""
    built = build_services(load_settings(own_settings))
    names = {name: TARIFF[name] for name in ("code", "name", "currency", "effective_from")}
    ids = {"id": str(uuid4()), "tariff_id": str(uuid4())}
    put(built, "tariffs", names | ids | {"definition": TARIFF})
    yield built
    built.close()


@pytest.fixture(autouse=True)
def running(services: Services) -> Iterator[Scheduler]:
    """What the pages find in this process; the scheduler is not started."""
    scheduler = Scheduler(services)
    run_with(services, scheduler)
    yield scheduler
    scheduler.stop()
    run_with(None)


@pytest.fixture
def new_meter(services: Services) -> Callable[..., str]:
    """Return a maker of meters that stood at 1,000 kWh some days ago; each answers its serial."""

    def make(name: str = "12 Canal Road", days: int = 31) -> str:
        serial, account = next(NEW_SERIAL), str(uuid4())[:8]
        opened = local_date(now(), services.settings.timezone) - timedelta(days=days)
        customer = {"account_no": account, "name": name, "email": "", "phone": "", "address": "x"}
        put(services, "customers", customer | {"id": str(uuid4())})
        meter = {
            "id": str(uuid4()),
            "opening_reading_id": str(uuid4()),
            "serial": serial,
            "account_no": account,
            "tariff_code": TARIFF["code"],
            "kind": "manual",
            "dials": 5,
            "multiplier_milli": 1000,
            "opening_wh": 1_000_000,
            "opened_on": opened.isoformat(),
            "opened_at": start_of_day(opened, services.settings.timezone).isoformat(),
        }
        put(services, "meters", meter)
        return serial

    return make


def put(services: Services, what: str, row: dict[str, Any]) -> None:
    """Import one row, or fail."""
    report = services.database.import_rows(
        what=what, actor="test", rows=[row | {"row": 1}], dry_run=False
    )
    assert not report.errors, report


def now() -> datetime:
    """The present moment, as the pages take it."""
    return datetime.now(UTC)


def visitor() -> AppTest:
    """Somebody who opens the app and is not signed in."""
    return AppTest.from_file(str(PROJECT_FOLDER / "pages/main.py"), default_timeout=20)


def signed_in(services: Services, role: Role, page: str = "", **query: str) -> AppTest:
    """Somebody signed in with a role, on a page (their first one when none is named)."""
    app = visitor()
    app.session_state["token"] = services.tokens.issue(user_of(role), role, now())
    app.run()
    if page:
        for name, value in query.items():
            app.query_params[name] = value
        app.switch_page(page).run()
    return app


def user_of(role: Role) -> str:
    """The user id that the tests give a role."""
    return f"some.{role}"


def press(app: AppTest, label: str) -> AppTest:
    """Press the one button with this label."""
    buttons = [button for button in app.button if button.label == label]
    assert len(buttons) == 1, [button.label for button in app.button]
    return buttons[0].click().run()


def fill(app: AppTest, label: str, text: str) -> None:
    """Type into the one field with this label."""
    (field,) = [field for field in app.text_input if field.label == label]
    field.set_value(text)


def words(app: AppTest) -> str:
    """All that stands on the page, without Markdown's backslashes."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "success", "warning", "error")
    found = [str(getattr(element, "value", "")) for kind in kinds for element in app.get(kind)]
    found += [f"{metric.label} {metric.value}" for metric in app.metric]
    found += [link.label for link in app.page_link]
    found += list_words(app)
    return "\n".join(found).replace("\\", "").replace("&nbsp;", " ")


def page_links(app: AppTest) -> list[Any]:
    """The links to pages that are shown."""
    return list(app.get("page_link"))


def submit(app: AppTest, kwh: str) -> AppTest:
    """Type a reading on a meter's card and submit it."""
    fill(app, "Reading (kWh)", kwh)
    return press(app, "Submit reading")


def on_meter(services: Services, serial: str) -> AppTest:
    """An engineer at a meter's card."""
    return signed_in(services, Role.ENGINEER, "readings/submit_reading.py", meter=serial)


def bill_of(services: Services, serial: str) -> Bill:
    """The only bill of a meter."""
    (bill,) = services.database.bills(text=serial).items
    return bill


def flagged(
    services: Services, serial: str, kwh: str = "900", *, key: str | None = None
) -> Reading:
    """A reading of a meter that waits for a decision."""
    body = {"meter_serial": serial, "reading_kwh": kwh, "read_at": now().isoformat()}
    submitted = services.reading_to_bill.submit(
        submission=parse_submission(
            body | ({"idempotency_key": key} if key else {}),
            zone=services.settings.timezone,
            now=now(),
        ),
        principal=Principal("some.engineer", frozenset({Role.ENGINEER}), None, "token"),
        now=now(),
        arrived_by="test",
    )
    assert submitted.outcome == "needs_review"
    return submitted.reading


class Away(DirectTransport):
    """A database that does not answer, but says who is signed in."""

    def select(self, *_: Any, **__: Any) -> Selection:
        """Fail for a while."""
        raise TemporaryDatabaseError("08006", "connection refused by 10.0.0.7")

    def call(self, function: str, params: Mapping[str, Any], **_: Any) -> Any:
        """Fail for good."""
        if function == "use_session":
            return super().call(function, params)
        raise DatabaseError("XX000", "internal error at 0x00")


@contextmanager
def without_database(services: Services) -> Iterator[Services]:
    """The same services over a database that does not answer."""
    assert services.settings.database_url is not None
    away = DatabaseService(Away(services.settings.database_url.get_secret_value()))
    yield wire(services.settings, away)
    away.close()


def draft_bill(services: Services, serial: str) -> Bill:
    """A bill of 117 kWh of a meter that nobody has issued yet."""
    moment, zone = now(), services.settings.timezone
    submission = parse_submission(
        {"meter_serial": serial, "reading_kwh": "1117", "read_at": moment.isoformat()},
        zone=zone,
        now=moment,
    )
    decision = services.reading_to_bill.preview(submission=submission, source="field", now=moment)
    assert decision.bill is not None
    stored = services.database.commit_reading(
        actor="test",
        reading=decision.reading_row(source="field", submitted_by=user_of(Role.ENGINEER)),
        neighbours=decision.neighbours,
        bill=replace(decision.bill, issue=None, outbox=None),
    )
    assert stored.bill is not None
    return stored.bill
