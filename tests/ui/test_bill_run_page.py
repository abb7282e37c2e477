"""Bill runs: what the next one will do before it does it, and who is billed on which day."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from pages.registry import BILL_RUNS, SERVICE_POINT
from scheduler import Scheduler
from services.bootstrap import run_with
from services.identity.permissions import Role
from services.jobs.bill_run_preview import next_bill_run, preview_bill_run
from services.jobs.by_hand import run_job
from services.quantities.period import next_month
from services.quantities.written import day, money
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.ui.test_pages import signed_in, words

pytestmark = pytest.mark.postgres


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=datetime.now(UTC))
    run_with(made.services, Scheduler(made.services))
    yield made
    run_with(None)
    made.services.close()


def bill_runs(utility: Utility, view: str = "Next run") -> AppTest:
    return signed_in(utility.services, Role.ADMIN, BILL_RUNS.script, view=view)


def test_the_preview_says_what_the_run_then_does(utility: Utility) -> None:
    for serial in ("M1", "M2", "M3"):
        utility.add_meter(serial, opened_on=utility.today - timedelta(days=30))
    utility.submit("M1", 1117, source="imported")
    utility.submit("M2", 900, source="imported")
    app = bill_runs(utility)
    on = next_month(utility.today)
    assert day(on) in words(app)
    assert "who is billed on the 1st" in words(app)
    app.button(key="preview").click().run()
    assert not app.exception
    said = words(app)
    assert "1 bill in INR" in said
    labels = [expander.label for expander in app.expander]
    assert labels == ["The reading waits for review: 1", "No reading yet: 1"]
    assert utility.services.database.job_runs().total == 0
    assert utility.bills_of("M1") == []

    at = datetime(on.year, on.month, on.day, 2, 30, tzinfo=utility.services.settings.timezone)
    done = run_job(utility.services, "monthly_bills", at, "test")
    (bill,) = utility.bills_of("M1")
    assert (done.done_count, done.failed_count) == (1, 2)
    assert money(bill.total_minor, bill.currency) in said


def test_a_bill_that_a_person_must_look_at_is_named_before(utility: Utility) -> None:
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=200))
    utility.submit("M1", 1500, source="imported")
    now = utility.now
    run = next_bill_run(utility.services, principal=ADMIN, now=now)
    *_, found = preview_bill_run(utility.services, run, principal=ADMIN, now=now)
    assert (found.looked_at, found.whole, found.number_held) == (1, True, 1)
    assert "The bill covers 200 days" in found.held[0].held_because
    app = bill_runs(utility)
    app.button(key="preview").click().run()
    assert "Will be kept as drafts for a person to issue" in [s.value for s in app.subheader]


def test_a_route_gets_its_day_on_the_page(utility: Utility, database: str) -> None:
    utility.add_meter("M1")
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'test', true)")
        connection.execute("update public.service_points set route = 'North *1*'")
    app = bill_runs(utility, "Billing days")
    assert "1 place" in words(app)
    app.number_input(key="day-North *1*").set_value(12)
    app.button(key="FormSubmitter:route-North *1*-Save").click().run()
    assert not app.exception
    days = utility.services.billing_cycles.days(principal=ADMIN)
    assert [(c.billing_day, c.agreements) for c in days.cycles] == [(12, 1)]


def test_the_details_of_a_place_and_its_billing_day_are_changed_on_its_page(
    utility: Utility,
) -> None:
    utility.add_meter("M1")
    (reads,) = utility.services.database.meter_reads(serials=["M1"])
    point = utility.services.database.reading_context(
        meter_serial="M1", read_at=utility.now, read_on=utility.today
    ).meter.service_point_id
    assert point is not None
    app = signed_in(utility.services, Role.ADMIN, SERVICE_POINT.script, id=point, view="Details")
    field = next(one for one in app.text_input if one.label == "Address")
    field.set_value("9 Mill Lane")
    next(one for one in app.button if one.label == "Save").click().run()
    assert not app.exception
    assert utility.services.database.place(point).point.address == "9 Mill Lane"
    app.number_input(key=f"billing-day-of-{reads.agreement_id}").set_value(5)
    next(one for one in app.button if one.label == "Change the billing day").click().run()
    assert not app.exception
    (agreement,) = utility.services.database.place(point).agreements
    assert agreement.billing_day == 5
    load = next(one for one in app.text_input if one.label == "Connected load (kW)")
    load.set_value("lots")
    next(one for one in app.button if one.label == "Save").click().run()
    assert "The connected load is not a number of kW" in app.error[0].value
