"""Estimated reads on a real database: by hand, and by the monthly job."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed
from services.jobs.bill_run_preview import next_bill_run, preview_bill_run
from services.messages.templates import TemplateWriter
from services.metering.estimation import CannotEstimate
from services.readings.estimates import EstimateChanged, EstimatedRead
from services.records.submissions import StoredReading
from services.web.shapes import bill_json
from tests.integration.job_tools import at_once, installed, tick_and_wait
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility

SEP_1, OCT_1, NOV_1, DEC_1 = (date(2026, month, 1) for month in (9, 10, 11, 12))


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    made.now = noon(made, DEC_1)
    yield made
    made.services.close()


def noon(utility: Utility, on: date) -> datetime:
    return datetime(on.year, on.month, on.day, 12, tzinfo=utility.services.settings.timezone)


def read(utility: Utility, serial: str, kwh: int, on: date, source: str = "field") -> None:
    utility.now = noon(utility, on)
    utility.submit(serial, kwh, source=source)


def two_months_read(utility: Utility, serial: str = "M1") -> str:
    """A meter of 100 kWh in September and 110 kWh in October; its id."""
    meter = utility.add_meter(serial, opening_kwh=1000, opened_on=SEP_1)
    read(utility, serial, 1100, OCT_1)
    read(utility, serial, 1210, NOV_1)
    utility.now = noon(utility, DEC_1)
    return meter


def look(utility: Utility, on: date = DEC_1, serial: str = "M1") -> EstimatedRead:
    return utility.services.reading_estimates.preview(
        meter_serial=serial, on=on, principal=ADMIN, now=utility.now
    )


def store(
    utility: Utility, on: date = DEC_1, serial: str = "M1", reading_id: str | None = None
) -> StoredReading:
    return utility.services.reading_estimates.store(
        reading_id=reading_id or str(uuid4()),
        meter_serial=serial,
        on=on,
        register_wh=look(utility, on, serial).estimate.register_wh,
        reason="Nobody at home",
        principal=ADMIN,
        now=utility.now,
    )


def test_an_estimate_by_hand_is_shown_with_its_bill_and_then_stored(utility: Utility) -> None:
    two_months_read(utility)
    found = look(utility)
    # 210 kWh in 61 days are 103.279 kWh in 30 days; the register shows whole kWh.
    assert (found.estimate.rule, found.estimate.used_wh) == ("recent_periods", 103_000)
    bill = found.assessment.bill
    assert bill is not None
    assert bill.consumption_wh == 103_000
    assert len(utility.bills_of("M1")) == 2, "nothing was stored"

    stored = store(utility)
    assert stored.bill is not None
    assert stored.bill.total_minor == bill.rated.total_minor
    reading = utility.services.database.reading(stored.reading.id)
    assert (reading.source, reading.status, reading.is_actual) == ("estimated", "accepted", False)
    assert reading.estimated_by == found.estimate.sentence
    assert reading.validation["estimate"]["values"] == {
        "periods": 2,
        "days": 61,
        "used_wh": 210_000,
    }
    assert reading.decision_reason == "Nobody at home"
    with pytest.raises(CannotEstimate, match="was read on 1 Dec 2026"):
        look(utility)


def test_the_same_estimate_again_answers_the_first(utility: Utility) -> None:
    two_months_read(utility)
    reading_id = str(uuid4())
    asked = {"meter_serial": "M1", "on": DEC_1, "register_wh": 1_313_000, "reason": "Away"}
    estimates = utility.services.reading_estimates
    first = estimates.store(reading_id=reading_id, principal=ADMIN, now=utility.now, **asked)  # type: ignore[arg-type]
    again = estimates.store(reading_id=reading_id, principal=ADMIN, now=utility.now, **asked)  # type: ignore[arg-type]
    assert first.bill is not None
    assert again.bill is not None
    assert (again.reading.id, again.bill.id) == (first.reading.id, first.bill.id)
    assert len(utility.bills_of("M1")) == 3


def test_what_is_refused_stores_nothing(utility: Utility) -> None:
    two_months_read(utility)
    estimates = utility.services.reading_estimates
    asked = {"reading_id": str(uuid4()), "meter_serial": "M1", "on": DEC_1, "now": utility.now}
    with pytest.raises(EstimateChanged, match="Nothing was stored"):
        estimates.store(register_wh=1, reason="Away", principal=ADMIN, **asked)  # type: ignore[arg-type]
    with pytest.raises(ReasonMissing):
        estimates.store(register_wh=1_313_000, reason=" ", principal=ADMIN, **asked)  # type: ignore[arg-type]
    with pytest.raises(NotAllowed):
        estimates.store(register_wh=1_313_000, reason="Away", principal=ENGINEER, **asked)  # type: ignore[arg-type]
    with pytest.raises(CannotEstimate, match="has not come yet"):
        look(utility, DEC_1 + timedelta(days=1))
    assert len(utility.bills_of("M1")) == 2


def test_a_customers_own_reading_counts_among_those_in_a_row(utility: Utility) -> None:
    two_months_read(utility)
    read(utility, "M1", 1310, DEC_1, source="customer")
    utility.now = noon(utility, date(2027, 1, 1))
    assert look(utility, date(2027, 1, 1)).facts.in_a_row == 1
    store(utility, date(2027, 1, 1))
    for month in (2, 3):
        utility.now = noon(utility, date(2027, month, 1))
        if month == 2:
            store(utility, date(2027, month, 1))
    with pytest.raises(CannotEstimate, match="Estimated 3 times in a row, read the meter"):
        look(utility, date(2027, 3, 1))


def test_a_new_meter_is_estimated_by_those_on_its_tariff(utility: Utility) -> None:
    for n in range(10):
        two_months_read(utility, f"C{n}")
    utility.add_meter("M1", opening_kwh=500, opened_on=NOV_1)
    utility.now = noon(utility, DEC_1)
    found = look(utility)
    # October's bills end within 45 days; September's do not.
    assert found.estimate.rule == "class_profile"
    assert found.estimate.used_wh == 106_000
    assert found.facts.class_use is not None
    assert found.facts.class_use.meters == 10


def test_bill_api_and_message_say_that_it_is_estimated(utility: Utility) -> None:
    two_months_read(utility)
    before, stored = utility.bills_of("M1")[-1], store(utility)
    assert stored.bill is not None
    bill = utility.services.database.bill(stored.bill.id)
    assert (bill.is_estimated, before.is_estimated) == (True, False)
    shown = bill_json(bill)
    assert (shown["opening_read"], shown["closing_read"], shown["estimated"]) == (
        "actual",
        "estimated",
        True,
    )
    writer = TemplateWriter(lambda: "Utility")
    text = writer.write(bill=bill, kind="bill_issued", language="en").text
    assert "you used 103 kWh (estimated, as the meter was not read;" in text
    assert "estimated" not in writer.write(bill=before, kind="bill_issued", language="en").text


def set_to_estimate(utility: Utility, **more: object) -> None:
    """As an administrator saves it on the Settings page."""
    desk = utility.services.settings_desk
    body = {"estimate_missing_reads": True, "estimate_after_days": 5, **more}
    shown = desk.shown(principal=ADMIN)
    desk.change(change_id=str(uuid4()), body=body, seen=shown.stored, principal=ADMIN)


def tick(utility: Utility, on: date, hour: int = 3) -> None:
    """The scheduler at that time of a local date, as long as it has something to do."""
    zone = utility.services.settings.timezone
    now = datetime(on.year, on.month, on.day, hour, tzinfo=zone)
    utility.now = now
    for _ in range(2):
        tick_and_wait(at_once(utility.services, now))


def sources(utility: Utility, serial: str) -> list[str]:
    return [bill.closing_source for bill in utility.bills_of(serial)]


def set_aside(utility: Utility, on: date) -> dict[str, tuple[str, str]]:
    rows = utility.services.database.set_aside(job="monthly_bills", scheduled_on=on)
    return {row.subject: (row.code, row.reason) for row in rows}


def test_the_job_waits_for_the_read_and_then_estimates_it(utility: Utility, database: str) -> None:
    installed(database, noon(utility, date(2026, 11, 28)))
    two_months_read(utility)
    set_to_estimate(utility)
    tick(utility, DEC_1)
    assert sources(utility, "M1") == ["field", "field"]
    assert set_aside(utility, DEC_1)["M1"][0] == "no_reading"
    tick(utility, date(2026, 12, 5))
    assert sources(utility, "M1") == ["field", "field"]
    tick(utility, date(2026, 12, 6))
    bill = utility.bills_of("M1")[-1]
    assert (bill.closing_source, bill.period_end, bill.consumption_wh) == (
        "estimated",
        DEC_1,
        103_000,
    )
    assert set_aside(utility, DEC_1) == {}
    reading = utility.services.database.reading(bill.closing_reading_id)
    assert (reading.submitted_by, reading.validation["estimate"]["rule"]) == (
        "job:monthly_bills",
        "recent_periods",
    )
    tick(utility, date(2026, 12, 7))
    assert len(utility.bills_of("M1")) == 3


def test_a_read_that_comes_while_it_is_waited_for_is_billed(
    utility: Utility, database: str
) -> None:
    installed(database, noon(utility, date(2026, 11, 28)))
    two_months_read(utility)
    set_to_estimate(utility)
    tick(utility, DEC_1)
    utility.now = noon(utility, date(2026, 12, 3))
    utility.submit("M1", 1330)
    tick(utility, date(2026, 12, 6))
    assert [(b.period_end.day, b.closing_source) for b in utility.bills_of("M1")][-1] == (
        3,
        "field",
    )
    assert len(utility.bills_of("M1")) == 3


def test_without_the_setting_the_bill_waits(utility: Utility, database: str) -> None:
    installed(database, noon(utility, date(2026, 11, 28)))
    two_months_read(utility)
    tick(utility, DEC_1)
    tick(utility, date(2026, 12, 20))
    assert sources(utility, "M1") == ["field", "field"]


def test_after_three_in_a_row_the_meter_is_asked_for(utility: Utility, database: str) -> None:
    installed(database, noon(utility, date(2026, 11, 28)))
    meter = two_months_read(utility)
    set_to_estimate(utility, estimate_after_days=0)
    for on in (DEC_1, date(2027, 1, 1), date(2027, 2, 1), date(2027, 3, 1)):
        tick(utility, on)
    assert sources(utility, "M1")[-3:] == ["estimated"] * 3
    assert len(utility.bills_of("M1")) == 5
    code, reason = set_aside(utility, date(2027, 3, 1))["M1"]
    assert code == "estimated_too_often"
    assert reason.endswith("Estimated 3 times in a row, read the meter.")
    with psycopg.connect(database) as connection:
        asked = connection.execute(
            "select meter_id::text, reason, done_at from public.reading_requests"
        ).fetchall()
    assert asked == [(meter, "Estimated 3 times in a row, read the meter.", None)]


def test_a_meter_that_cannot_be_estimated_is_tried_once(utility: Utility, database: str) -> None:
    installed(database, noon(utility, date(2026, 11, 28)))
    utility.add_meter("M1", opening_kwh=1000, opened_on=NOV_1)
    set_to_estimate(utility)
    tick(utility, DEC_1)
    tick(utility, date(2026, 12, 6))
    code, reason = set_aside(utility, DEC_1)["M1"]
    assert code == "not_estimated"
    assert "cannot be estimated" in reason
    history = utility.services.database.job_history(estimate_before=date(2026, 12, 2))
    assert not history.late_reads


def test_the_preview_of_a_run_says_how_many_will_be_estimated(utility: Utility) -> None:
    two_months_read(utility)
    utility.add_meter("M2", opening_kwh=1000, opened_on=NOV_1)
    set_to_estimate(utility)
    utility.now = noon(utility, date(2026, 11, 28))
    run = next_bill_run(utility.services, principal=ADMIN, now=utility.now)
    *_, found = preview_bill_run(utility.services, run, principal=ADMIN, now=utility.now)
    assert found.disconnected == 0
    assert (found.estimated, found.too_early, dict(found.reasons)) == (1, 0, {"not_estimated": 1})
    assert len(utility.bills_of("M1")) == 2
