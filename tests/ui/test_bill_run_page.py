"""Bill runs: what the next one will do before it does it, and who is billed on which day."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from pages.bill_runs import next_run
from pages.registry import BILL_RUNS, SERVICE_POINT
from scheduler import Scheduler
from services.bootstrap import run_with, running_scheduler
from services.identity.permissions import Role
from services.jobs import bill_run_preview
from services.jobs.bill_run_preview import next_bill_run, preview_bill_run
from services.jobs.by_hand import run_job
from services.quantities.written import day, money
from tests.integration.utility import ADMIN, Utility, make_utility
from tests.ui.page_runs import signed_in, words

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
    run = next_bill_run(utility.services, principal=ADMIN, now=utility.now)
    assert day(run.on) in words(app)
    assert "who is billed on the 1st" in words(app)
    app.button(key="preview").click().run()
    assert not app.exception
    said = words(app)
    assert "1 bill in INR" in said
    labels = [expander.label for expander in app.expander]
    assert labels == ["The reading waits for review: 1", "No reading yet: 1"]
    assert utility.services.database.job_runs().total == 0
    assert utility.bills_of("M1") == []

    done = run_job(utility.services, "monthly_bills", run.at + timedelta(minutes=30), "test")
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


def test_what_is_unlike_the_last_bill_is_shown_with_links_to_both(utility: Utility) -> None:
    rows = []
    for serial, before, kwh in (("M1", 1100, 1205), ("M2", 1100, 1800), ("M3", 1100, 1100)):
        meter = utility.add_meter(serial, opened_on=utility.today - timedelta(days=60))
        utility.submit(serial, before, at=utility.now - timedelta(days=30))
        row: dict[str, Any] = {"id": str(uuid4()), "meter_id": meter}
        row |= {"read_at": utility.now.isoformat()}
        row |= {"read_on": utility.today.isoformat(), "register_wh": kwh * 1000}
        rows.append({**row, "status": "accepted", "validation": {}})
    utility.services.database.import_readings(actor="test", rows=rows)
    app = bill_runs(utility)
    app.button(key="preview").click().run()
    assert not app.exception
    said = words(app)
    assert "3 bills in INR" in said
    # 805 kWh, where 300 are usual for as many days.
    plain = said.replace("\\", "")
    assert "805 kWh" in plain
    assert "Last bills: 300 kWh" in plain
    assert "A day: +168.3 %" in plain
    assert "1 more than 3 times as much a day, 1 no use after use" in plain
    assert "Unlike the last bill" in [s.value for s in app.subheader]
    links = [link.proto for link in app.get("page_link")]
    shown = [link.label for link in links if "M" in link.label and "**" in link.label]
    assert shown == ["**M2**", "**M3**"]
    (last,) = utility.bills_of("M2")
    assert any(last.id in link.query_string for link in links)


@pytest.fixture
def approving(database: str, tmp_path: Path) -> Iterator[Utility]:
    """A utility whose bills are drafts until somebody issues them."""
    now, settings = datetime.now(UTC), {"BILL_APPROVAL": "on"}
    made = make_utility(database, tmp_path, now=now, more_settings=settings)
    run_with(made.services, Scheduler(made.services))
    yield made
    run_with(None)
    made.services.close()


def test_the_drafts_of_a_run_are_compared_with_its_preview_and_issued_together(
    approving: Utility,
) -> None:
    database = approving.services.database
    assert "No bill run has begun yet" in bill_runs(approving, "Last run").info[0].value
    for serial, days in (("M1", 30), ("M2", 30), ("M3", 200)):
        approving.add_meter(serial, opened_on=approving.today - timedelta(days=days))
        approving.submit(serial, 1117, source="imported")
    bill_runs(approving).button(key="preview").click().run()
    run = next_bill_run(approving.services, principal=ADMIN, now=approving.now)
    at = run.at + timedelta(minutes=30)
    assert run_job(approving.services, "monthly_bills", at, "test").done_count == 3

    app = bill_runs(approving, "Last run")
    assert not app.exception
    plain = words(app).replace("\\", "")
    assert "3 bills in INR" in plain
    assert "Preview: 351 kWh" in plain
    assert "3 are still to be issued, 0 issued." in plain
    # One is held for its length; the others have no bill before.
    assert "2 drafts have something unusual" in plain
    labels = [one.proto.popover.label for one in app.get("popover")]
    assert "Issue 2 bills together" in labels
    app.button(key="issue-together").click().run()
    assert not app.exception
    assert {bill.status for bill in database.bills(page_size=9).items} == {"draft"}
    running_scheduler().issue_drafts()
    app.run()
    assert "2 bills are issued: INV-000001 to INV-000002." in app.success[0].value
    plain = words(app).replace("\\", "")
    assert "1 is still to be issued, 2 issued." in plain
    assert "Nothing is unusual about those that are not held." in plain
    assert [bill.status for bill in approving.bills_of("M3")] == ["draft"]


def test_a_preview_that_took_too_long_says_how_far_it_came_and_goes_on(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    for serial in ("M1", "M2", "M3"):
        utility.add_meter(serial, opened_on=utility.today - timedelta(days=30))
        utility.submit(serial, 1117, source="imported")
    monkeypatch.setattr(bill_run_preview, "_PAGE", 2)
    run = next_bill_run(utility.services, principal=ADMIN, now=utility.now)
    asked: dict[str, Any] = {"principal": ADMIN, "now": utility.now}
    (found,) = preview_bill_run(utility.services, run, **asked, seconds=0)
    # A part of them, from anywhere.
    assert found.looked_at == found.sums["INR"].number in (1, 2)
    assert not found.whole
    (found,) = preview_bill_run(utility.services, run, **asked, found=found, seconds=0)
    assert (found.looked_at, found.whole, found.sums["INR"].number) == (3, True, 3)

    monkeypatch.setattr(next_run, "preview_bill_run", partial(preview_bill_run, seconds=0))
    app = bill_runs(utility)
    app.button(key="preview").click().run()
    assert "the time was up" in app.warning[0].value
    app.button(key="preview-more").click().run()
    assert not app.exception
    assert "3 bills in INR" in words(app)
    assert len(app.warning) == 0


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
