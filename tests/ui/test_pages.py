"""Each page, as each role, run without a browser over a real database."""

import time
from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest

from scheduler import Scheduler
from services import VERSION
from services.bootstrap import run_with
from services.container import Services
from services.identity.permissions import Role
from services.jobs.by_hand import run_job
from services.quantities.period import local_date
from services.records.jobs import JobRun
from services.settings import PROJECT_FOLDER
from tests.ui.page_runs import (
    ADMIN_PAGES,
    ENGINEER_PAGES,
    fill,
    flagged,
    new_meter,
    now,
    page_links,
    press,
    running,
    services,
    signed_in,
    visitor,
    without_database,
    words,
)

__all__ = ["new_meter", "running", "services"]
pytestmark = pytest.mark.postgres


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
