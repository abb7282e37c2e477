"""Each page, as each role, run without a browser over a real database."""

import io
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from pages.readings.exception_words import REASONS
from pages.shared.format import cron_in_words, escaped, kwh, period
from scheduler import Scheduler
from services import VERSION
from services.bootstrap import build_services, run_with, wire
from services.container import Services
from services.database.service import DatabaseService
from services.database.transport import DatabaseError, Selection, TemporaryDatabaseError
from services.database.transports.postgres import DirectTransport
from services.identity.auth import Principal
from services.identity.permissions import Role
from services.jobs.by_hand import run_job
from services.languages.language import Language
from services.quantities.period import local_date, start_of_day
from services.readings.submission import parse_submission
from services.records.bills import Bill
from services.records.jobs import JobRun
from services.records.readings import Reading
from services.settings import PROJECT_FOLDER, load_settings
from tests.ui.list_rows import list_words

pytestmark = pytest.mark.postgres

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


class TestSignIn:
    """Only who is known comes in."""

    def test_a_stranger_sees_the_sign_in_page_and_no_menu(self) -> None:
        app = visitor().run()
        assert [field.label for field in app.text_input] == ["User id", "Token"]
        assert not app.sidebar.button

    def test_the_demo_buttons_are_hidden_where_the_host_is_not_known_to_be_this_machine(
        self,
    ) -> None:
        assert "Field engineer" not in [button.label for button in visitor().run().button]

    def test_a_token_with_its_own_user_id_leads_to_the_pages(self, services: Services) -> None:
        app = visitor().run()
        fill(app, "User id", "some.engineer")
        fill(app, "Token", services.tokens.issue("some.engineer", Role.ENGINEER, now()))
        press(app, "Sign in")
        assert any("/session/begin?ticket=" in str(html.proto.body) for html in app.get("html"))
        assert "Submit a reading" in words(app.run())

    @pytest.mark.parametrize(
        ("user", "sentence"),
        [("another", "This token belongs to another user id."), ("", "Fill in both")],
    )
    def test_a_token_of_another_user_is_refused(
        self, services: Services, user: str, sentence: str
    ) -> None:
        app = visitor().run()
        fill(app, "User id", user)
        fill(app, "Token", services.tokens.issue("some.engineer", Role.ENGINEER, now()))
        assert sentence in words(press(app, "Sign in"))
        assert "token" not in app.session_state

    def test_a_made_up_token_is_refused(self) -> None:
        app = visitor().run()
        fill(app, "User id", "some.engineer")
        fill(app, "Token", "made.up.token")
        assert "not a token of ours" in words(press(app, "Sign in"))

    def test_a_sign_in_that_expires_leads_back_with_the_reason(self, services: Services) -> None:
        app = signed_in(services, Role.ADMIN)
        yesterday = now() - timedelta(days=1)
        app.session_state["token"] = services.tokens.issue("a", Role.ADMIN, yesterday)
        app.run()
        assert "This sign-in has expired. Sign in again." in words(app)
        assert not app.sidebar.button

    def test_signing_out_leaves_the_sign_in_page(self, services: Services) -> None:
        app = press(signed_in(services, Role.ENGINEER), "Sign out").run()
        assert [field.label for field in app.text_input] == ["User id", "Token"]


class TestRoles:
    """A page opens only for its role, whichever way somebody comes to it."""

    @pytest.mark.parametrize("page", ADMIN_PAGES)
    def test_an_engineer_is_not_allowed_on_an_admin_page(
        self, services: Services, page: str
    ) -> None:
        app = signed_in(services, Role.ENGINEER, page)
        assert "Not allowed: this page is for" in words(app)
        assert not app.title

    @pytest.mark.parametrize("page", [*ENGINEER_PAGES, *ADMIN_PAGES])
    def test_a_page_run_past_the_menu_still_asks_who_is_there(self, page: str) -> None:
        app = AppTest.from_file(str(PROJECT_FOLDER / "pages" / page), default_timeout=20).run()
        assert words(app) == "Sign in first."

    @pytest.mark.parametrize(
        "page", ["system/overview.py", "bills/bills.py", "readings/flagged_readings.py"]
    )
    def test_an_administrator_sees_each_office_page(self, services: Services, page: str) -> None:
        app = signed_in(services, Role.ADMIN, page)
        assert app.title
        assert not app.error
        assert not app.exception

    def test_an_administrator_may_submit_readings(self, services: Services) -> None:
        app = signed_in(services, Role.ADMIN, "readings/submit_reading.py")
        assert "Submit a reading" in words(app)

    def test_each_role_begins_on_its_own_page(self, services: Services) -> None:
        assert signed_in(services, Role.ENGINEER).title[0].value == "Submit a reading"
        assert signed_in(services, Role.ADMIN).title[0].value == "Overview"


class TestSubmitReading:
    """An engineer finds a meter, types what it shows, and sees the bill."""

    def test_a_meter_is_found_by_its_customer(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter("Lighthouse Bakery")
        app = signed_in(services, Role.ENGINEER)
        app.text_input[0].set_value("lighthouse").run()
        assert serial in words(app)
        app = press(app, "Read")
        assert "1,000 kWh on" in words(app)

    def test_117_kwh_are_billed_540_35_with_every_line(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        app = submit(on_meter(services, serial), "1117")
        said = words(app)
        assert "Total ₹540.35" in said
        for part in ("50 kWh × 3.15", "17 kWh × 4.80", "10% of 424.10", "₹42.41", "Due **"):
            assert part in said
        # The steps are the office's.
        assert "Reading submitted" not in said
        assert bill_of(services, serial).reference in said

    def test_the_office_sees_every_step(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        at_meter = signed_in(services, Role.ADMIN, "readings/submit_reading.py", meter=serial)
        said = words(submit(at_meter, "1117"))
        assert "Reading submitted" in said
        assert said.count(":material/check_circle:]") == 9
        assert "kept in the log, not sent" in said
        # The graph, the payment link and its way onto the bill, the sending.
        assert said.count("skipped: not configured") == 4

    def test_a_photo_goes_with_the_reading_and_a_bad_one_stops_it_before_anything_is_stored(
        self,
        services: Services,
        new_meter: Callable[..., str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        written = io.BytesIO()
        Image.new("RGB", (40, 30), "red").save(written, "PNG")
        taken = io.BytesIO(b"<script>alert(1)</script>")
        monkeypatch.setattr(st, "camera_input", lambda *_, **__: taken)
        serial = new_meter()
        app = on_meter(services, serial)
        app.toggle[0].set_value(True).run()
        app = submit(app, "1117")
        assert "This file is no JPEG, PNG or WebP photo." in words(app)
        assert services.database.bills(text=serial).total == 0
        taken.seek(0)
        taken.truncate()
        taken.write(written.getvalue())
        app = submit(app, "1117")
        assert "Total ₹540.35" in words(app)
        reading_id = bill_of(services, serial).closing_reading_id
        photos = services.meter_photos.of_reading(reading_id=reading_id, principal=OFFICE)
        assert [(photo.width, photo.height) for photo in photos] == [(40, 30)]

    def test_a_decimal_reading_is_stored_exactly(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), "1117.125")
        assert bill_of(services, serial).closing_wh == 1_117_125

    @pytest.mark.parametrize("typed", ["1,117.5", "1 117,5", "1117,5", "1,117.5 kWh"])
    def test_a_reading_may_be_typed_as_it_is_printed(
        self, services: Services, new_meter: Callable[..., str], typed: str
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), typed)
        assert bill_of(services, serial).closing_wh == 1_117_500

    @pytest.mark.parametrize(
        ("typed", "sentence"),
        [
            ("12x4", "must be a number"),
            ("", "is missing"),
            ("-5", "cannot be negative"),
            ("NaN", "must be a number"),
            ("1e400", "with all its digits"),
            ("1e4", "Write the reading with all its digits: 10000, not 1e4."),
            ("1,117", "1,117 may be 1117 or 1.117: write it as one of these."),
            ("123456", "shows 5 digits"),
        ],
    )
    def test_a_wrong_value_is_explained_and_stays_in_the_field(
        self, services: Services, new_meter: Callable[..., str], typed: str, sentence: str
    ) -> None:
        serial = new_meter()
        app = submit(on_meter(services, serial), typed)
        assert sentence in words(app)
        assert [f.value for f in app.text_input if f.label == "Reading (kWh)"] == [typed]
        assert services.database.bills(text=serial).total == 0

    def test_a_doubtful_reading_is_asked_about_once_and_can_be_corrected(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        app = submit(on_meter(services, new_meter()), "900")
        assert "Really 900 kWh?" in words(app)
        app = press(app, "Correct it")
        assert [f.value for f in app.text_input if f.label == "Reading (kWh)"] == ["900"]
        assert "Total ₹540.35" in words(submit(app, "1117"))

    def test_a_doubtful_reading_submitted_anyway_waits_for_an_administrator(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        app = press(submit(on_meter(services, serial), "900"), "Submit anyway")
        assert "waits for the office" in words(app)
        assert serial in words(signed_in(services, Role.ADMIN, "readings/flagged_readings.py"))

    def test_the_same_reading_again_says_so_and_adds_nothing(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), "1117")
        again = submit(on_meter(services, serial), "1117")
        assert "was stored on" in words(again)
        assert "This reading was submitted before; nothing was added." in words(again)
        assert services.database.bills(text=serial).total == 1

    def test_the_same_reading_as_anothers_shows_nothing_of_their_bill(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), "1117")
        nosy = visitor()
        nosy.session_state["token"] = services.tokens.issue("nosy", Role.ENGINEER, now())
        nosy.run()
        nosy.query_params["meter"] = serial
        nosy.switch_page("readings/submit_reading.py").run()
        found = words(submit(nosy, "1117"))
        assert "nothing was added" in found
        assert "540.35" not in found
        assert bill_of(services, serial).reference not in found

    def test_a_bill_that_is_too_long_is_shown_as_the_draft_that_it_is(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter(days=61)
        said = words(submit(on_meter(services, serial), "1210"))
        why = "The bill covers 61 days; tariff KSEB-LT1A is made for 25 to 35 days."
        assert f"not billed yet. {why} The bill is kept as a draft" in said
        assert "1,159.49" not in said
        draft = bill_of(services, serial)
        assert why in words(signed_in(services, Role.ADMIN, "drafts/drafts.py"))
        app = signed_in(services, Role.ADMIN, "bills/bill.py", id=draft.id)
        assert why in words(app)
        press(app, "Yes, issue it")
        assert bill_of(services, serial).status == "issued"

    def test_an_administrator_bills_a_reading_that_is_too_soon_for_a_bill(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter(days=2)
        engineer = submit(on_meter(services, serial), "1005")
        assert "Only 2 days after the last billed read" in words(engineer)
        assert "Yes, bill it" not in [button.label for button in engineer.button]
        reading = services.database.readings(submitted_by=user_of(Role.ENGINEER)).items[0]
        app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=reading.id)
        press(app, "Yes, bill it")
        assert bill_of(services, serial).consumption_wh == 5_000

    def test_the_last_bill_shows_what_was_read_since_then(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        at = now() - timedelta(days=1)
        body = {"meter_serial": serial, "reading_kwh": "1117", "read_at": at.isoformat()}
        billed = services.reading_to_bill.submit(
            submission=parse_submission(body, zone=services.settings.timezone, now=now()),
            principal=Principal("some.engineer", frozenset({Role.ENGINEER}), None, "token"),
            now=at,
            arrived_by="test",
        )
        assert billed.bill is not None
        submit(on_meter(services, serial), "1118")
        app = signed_in(services, Role.ADMIN, "bills/bill.py", id=billed.bill.id)
        assert "Read since then, not billed" in words(app)
        press(app, "Yes, bill it")
        assert services.database.bills(text=serial).total == 2

    def test_the_next_meter_starts_afresh(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        app = submit(on_meter(services, new_meter()), "1117")
        app = press(app, "Read the next meter")
        assert [field.label for field in app.text_input] == ["Find the meter"]

    def test_an_unknown_meter_is_told(self, services: Services) -> None:
        assert "No meter has the serial NOPE." in words(on_meter(services, "NOPE"))

    def test_a_name_is_shown_letter_by_letter(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        app = on_meter(services, new_meter("*Star* [x](http://e) <b>"))
        assert app.subheader[0].value == escaped("*Star* [x](http://e) <b>")
        assert escaped("*Star* [x]<b>") == r"\*Star\* \[x\]\<b\>"


class TestMyReadings:
    """An engineer's own readings, with their bills."""

    def test_own_readings_are_listed_with_the_bill(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), "1117")
        said = words(signed_in(services, Role.ENGINEER, "readings/my_readings.py"))
        assert serial in said
        assert "Bill ₹540.35" in said

    def test_others_readings_are_not(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), "1117")
        assert serial not in words(signed_in(services, Role.ADMIN, "readings/my_readings.py"))

    def test_the_bill_opens_under_its_address(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        submit(on_meter(services, serial), "1117")
        bill = bill_of(services, serial)
        assert "Total ₹540.35" in words(
            signed_in(services, Role.ENGINEER, "bills/bill.py", id=bill.id)
        )


class TestOffice:
    """What administrators look at and decide."""

    def test_the_overview_counts_what_was_billed(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        submit(on_meter(services, new_meter()), "1117")
        app = signed_in(services, Role.ADMIN, "system/overview.py")
        figures = services.database.overview(
            today=local_date(now(), services.settings.timezone), currency="INR"
        )
        (of_currency,) = figures.currencies
        billed = of_currency.months[-1].billed_minor
        shown = {metric.label.split(" in ")[0]: metric.value for metric in app.metric}
        assert billed >= 54035
        assert shown["Billed"].replace(",", "") == f"₹{billed // 100}.{billed % 100:02}"
        assert set(shown) == {"Billed", "Collected", "Outstanding", "Overdue"}

    def test_bills_are_searched_in_the_database(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        wanted, other = new_meter("Mill House"), new_meter("Chapel House")
        for serial in (wanted, other):
            submit(on_meter(services, serial), "1117")
        app = signed_in(services, Role.ADMIN, "bills/bills.py")
        app.text_input(key="q").set_value("mill house").run()
        assert wanted in words(app)
        assert other not in words(app)

    def test_bills_are_filtered_by_status(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        submit(on_meter(services, new_meter()), "1117")
        app = signed_in(services, Role.ADMIN, "bills/bills.py")
        app.selectbox[0].select("Paid").run()
        assert "No bill fits." in words(app)

    def test_a_draft_is_issued_after_a_confirmation(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        bill = draft_bill(services, new_meter())
        app = signed_in(services, Role.ADMIN, "bills/bill.py", id=bill.id)
        assert "nobody has been asked to pay" in words(app)
        press(app, "Yes, issue it")
        assert services.database.bill(bill.id).status == "issued"
        assert services.database.bill(bill.id).number is not None

    def test_an_engineer_cannot_issue_a_draft(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        bill = draft_bill(services, new_meter())
        app = signed_in(services, Role.ENGINEER, "bills/bill.py", id=bill.id)
        assert "Draft bill" in words(app)
        assert "Yes, issue it" not in [button.label for button in app.button]

    def test_a_flagged_reading_is_accepted_with_a_reason_and_billed(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        reading = flagged(services, new_meter())
        app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=reading.id)
        app = press(app, "Accept")
        assert "say that the register rolled over" in words(app)
        assert "Another reason" not in [field.label for field in app.text_input]
        app.checkbox[0].check().run()
        assert "99,900 kWh" in words(app)
        app = press(app, "Accept the reading")
        assert "Say why" in words(app)
        fill(app, "Another reason", "rollover seen")
        press(app, "Accept the reading")
        assert services.database.reading(reading.id).status == "accepted"
        assert services.database.reading(reading.id).bill_id is not None

    def test_a_flagged_reading_is_corrected_after_a_look_at_what_it_bills(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial = new_meter()
        reading = flagged(services, serial)
        app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=reading.id)
        app = press(app, "Right value")
        fill(app, "Right reading (kWh)", "1,117")
        assert "1,117 may be 1117 or 1.117" in words(app.run())
        fill(app, "Right reading (kWh)", "1,117.0 kWh")
        app.run()
        assert "Bills **₹540.35** for 117 kWh" in words(app)
        fill(app, "Another reason", "a digit was missing")
        press(app, "Correct and bill")
        assert services.database.reading(reading.id).status == "superseded"
        assert services.database.reading(reading.id).register_wh == 900_000
        assert bill_of(services, serial).total_minor == 54035

    @pytest.mark.parametrize("decision", ["Reject", "New read"])
    def test_a_flagged_reading_is_set_aside_for_a_usual_reason(
        self, services: Services, new_meter: Callable[..., str], decision: str
    ) -> None:
        reading = flagged(services, new_meter())
        app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=reading.id)
        app = press(app, decision)
        reason = REASONS["reject" if decision == "Reject" else "read_again"][0]
        press(app, reason)
        stored = services.database.reading(reading.id)
        assert (stored.status, stored.decision_reason) == ("rejected", reason)

    def test_who_decides_second_is_told_and_changes_nothing(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        reading = flagged(services, new_meter())
        app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=reading.id)
        app = press(app, "Reject")
        boss = Principal("boss", frozenset({Role.ADMIN}), None, "token")
        services.reading_review.reject(reading_id=reading.id, reason="wrong", principal=boss)
        app = press(app, REASONS["reject"][0])
        assert "Decided by boss" in words(app)
        assert services.database.reading(reading.id).decision_reason == "wrong"

    def test_the_photo_of_a_flagged_reading_is_shown_beside_the_decision(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        serial, key, photo = new_meter(), str(uuid4()), io.BytesIO()
        Image.new("RGB", (8, 8)).save(photo, "JPEG")
        engineer = Principal("some.engineer", frozenset({Role.ENGINEER}), None, "token")
        services.meter_photos.keep(
            content=photo.getvalue(), key=key, meter_serial=serial, principal=engineer
        )
        reading = flagged(services, serial, key=key)
        app = signed_in(services, Role.ADMIN, "readings/flagged_reading.py", id=reading.id)
        assert "by some" in str(app.get("image")[0].proto)

    def test_the_queue_shows_the_next_reading_after_each_decision(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        waiting = {flagged(services, new_meter()).id for _ in range(2)}
        app = signed_in(services, Role.ADMIN, "readings/flagged_readings.py")
        admin, queue = (
            Principal("boss", frozenset({Role.ADMIN}), None, "token"),
            services.reading_exceptions.queue,
        )
        total = queue(principal=admin, limit=0).total
        assert f"**{total} left**" in words(app)
        app = press(press(app, "Skip"), "Reject")
        app = press(app, REASONS["reject"][1])
        assert f"**{total - 1} left**" in words(app)
        assert "1 reading skipped" in words(app)
        left = queue(principal=admin, limit=total).items
        assert len(waiting & {one.reading.id for one in left}) >= 1


class TestServices:
    def test_the_version_and_the_last_good_backup_are_shown(self, services: Services) -> None:
        app = signed_in(services, Role.ADMIN, "system/services.py")
        assert not app.exception
        assert f"Version {VERSION}, schema {services.schema_version}" in words(app)
        assert "Last nightly backup: " in words(app)


class TestJobs:
    """What runs by itself, and running it now."""

    def test_the_jobs_are_shown_with_their_times(self, services: Services) -> None:
        said = words(signed_in(services, Role.ADMIN, "system/jobs.py"))
        for part in ("Monthly bills", "on the 1st of the month at 02:00", "Sundays at 08:00"):
            assert part in said
        assert said.count("daily at 1") == 2
        assert "The scheduler of this process is not running" in said

    def test_a_job_that_did_not_begin_is_late(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        since = now() - timedelta(hours=2)
        late = {"overdue_marking": since}
        monkeypatch.setattr("services.operation.punctuality.late_jobs", lambda *_: late)
        said = words(signed_in(services, Role.ADMIN, "system/jobs.py"))
        assert said.count("It was due ") == 1
        assert "and has not begun." in said

    def test_a_clock_in_doubt_is_explained_and_confirmed(
        self, services: Services, running: Scheduler
    ) -> None:
        services.database.note_clock(
            machine="boot:before", at=now() - timedelta(days=364), uptime_seconds=1, doubt=None
        )
        running.tick()
        assert "No job runs: the clock is in doubt" in [
            link.label for link in page_links(signed_in(services, Role.ADMIN, "system/overview.py"))
        ]
        app = signed_in(services, Role.ADMIN, "system/jobs.py")
        assert "nothing shows that so much time went by" in app.error[0].value
        app.button(key="confirm-clock").click().run()
        assert running.doubt is None
        assert not app.error

    def test_what_was_set_aside_leads_to_the_page_that_mends_it(
        self, services: Services, new_meter: Callable[..., str]
    ) -> None:
        unread, doubted = new_meter(), new_meter()
        reading = flagged(services, doubted)
        # Next month, when the reading of today is one up to the 1st.
        then = now() + timedelta(days=31)
        run = run_job(services, "monthly_bills", then, "boss")
        app = signed_in(services, Role.ADMIN, "system/jobs.py")
        app.session_state[f"aside-monthly_bills-{run.scheduled_on}"] = True
        app = app.run()
        links = {(link.label, link.query_string) for link in page_links(app)}
        assert ("The flagged reading", f"id={reading.id}") in links
        assert ("Submit a reading", f"meter={unread}") in links

    def test_a_job_is_run_now_and_stands_in_the_history(
        self, services: Services, running: Scheduler
    ) -> None:
        running.start()
        app = signed_in(services, Role.ADMIN, "system/jobs.py")
        app.button(key="run-payment_reminders").click().run()
        assert not app.error
        today = local_date(now(), services.settings.timezone)
        runs: list[JobRun] = []
        ends_at = time.monotonic() + 15
        while time.monotonic() < ends_at:
            runs = [
                run
                for run in services.database.job_runs().items
                if (run.job, run.scheduled_on) == ("payment_reminders", today)
            ]
            if runs and runs[0].status == "done":
                break
            time.sleep(0.1)
        assert [(run.status, run.started_by) for run in runs] == [("done", "some.admin")]
        assert "by some.admin" in words(app.run())


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


@pytest.mark.parametrize(
    "page",
    [*ENGINEER_PAGES, *(page for page in ADMIN_PAGES if page != "readings/flagged_reading.py")],
)
def test_without_a_database_every_page_says_so_calmly(services: Services, page: str) -> None:
    query = {"id": str(uuid4())} if page == "bills/bill.py" else {}
    with without_database(services) as away:
        run_with(away, Scheduler(away))
        app = signed_in(services, Role.ADMIN, page, **query)
    said = words(app)
    assert "The database cannot be reached just now" in said
    assert "10.0.0.7" not in said
    assert "0x00" not in said
    assert not app.exception
    assert "Try again" in [button.label for button in app.button]


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


def test_plain_takes_the_meaning_out_of_markdown() -> None:
    assert escaped("a*b") == r"a\*b"
    assert escaped("$5 and $6") == r"\$5 and \$6"
    assert escaped("two\nlines") == "two lines"
    # Streamlit looks for :name: after Markdown has taken the backslashes away.
    assert ":material" not in escaped(":material/home:").replace("\\", "")


def test_a_name_keeps_its_direction_in_arabic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.shared.format.language", lambda: Language.of("ar"))
    assert escaped("2 Canal Road") == "\u20682 Canal Road\u2069"
    assert escaped("") == ""
    assert kwh(26_667_000) == "\u206826,667 kWh\u2069"


def test_a_time_of_day_is_not_turned_round_in_arabic(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pages.shared.format", "pages.languages.words"):
        monkeypatch.setattr(f"{module}.language", lambda: Language.of("ar"))
    # Whole within one pair of signs: each part within its own would stand in the page's order.
    assert "\u206802:00\u2069" in cron_in_words("0 2 1 * *")


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("0 2 1 * *", "on the 1st of the month at 02:00"),
        ("0 10 * * *", "daily at 10:00"),
        ("0 8 * * sun", "Sundays at 08:00"),
        ("*/5 * * * *", "*/5 * * * *"),
    ],
)
def test_a_cron_expression_is_said_in_words(cron: str, said: str) -> None:
    assert cron_in_words(cron) == said


def test_a_period_names_the_year_twice_only_across_years() -> None:
    assert period(date(2026, 10, 12), date(2026, 11, 12)) == "12 Oct – 12 Nov 2026 (31 days)"
    assert period(date(2025, 12, 31), date(2026, 1, 1)) == "31 Dec 2025 – 1 Jan 2026 (1 day)"
