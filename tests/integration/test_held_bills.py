"""Bills of a length that their tariff is not made for: drafts until a person issues them."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from app import create_app
from services.billing.draft_signs import signs_of
from services.identity.permissions import Role
from services.jobs.by_hand import run_job
from services.quantities.money import Money
from services.readings.assessment import AS_DRAFT
from services.readings.review import ReadingReview
from services.records.drafts import DraftFilter
from tests.integration.api.talk import READING, answer_of, bearer
from tests.integration.correcting import Correcting
from tests.integration.utility import ADMIN, Utility, assert_one_chain, make_utility

WHY = "The bill covers 61 days; tariff KSEB-LT1A is made for 25 to 35 days."


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def local(utility: Utility, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=utility.services.settings.timezone)


def assert_held(utility: Utility, serial: str, why: str = WHY) -> None:
    """The last bill is a draft that owes nothing, and Drafts says why."""
    bill = utility.bills_of(serial)[-1]
    assert (bill.status, bill.number, bill.held_because) == ("draft", None, why)
    assert utility.services.database.outbox_of(bill.id) == []
    drafts = utility.services.database.drafts(DraftFilter()).items
    (draft,) = [d for d in drafts if d.id == bill.id]
    assert draft.outlier
    assert why in signs_of(draft)


def test_a_missed_read_makes_a_draft_with_what_it_would_be(utility: Utility) -> None:
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=61))
    submitted = utility.submit("M1", 1210)
    assert (submitted.outcome, submitted.reading.status) == ("needs_review", "accepted")
    assert submitted.explanation == f"{WHY} {AS_DRAFT}"
    assert submitted.bill is not None
    assert submitted.bill.money(submitted.bill.total_minor) == Money(115_949, "INR")
    assert_held(utility, "M1")


def test_the_api_answers_202_with_the_draft(utility: Utility) -> None:
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=61))
    client = create_app(utility.services, clock=lambda: utility.now).test_client()
    body = {"meter_serial": "M1", "reading_kwh": "1210", "read_at": utility.now.isoformat()}
    told = answer_of(client.post(READING, json=body, headers=bearer(utility, Role.ENGINEER)), 202)
    assert (told["bill"]["status"], told["bill"]["total"]) == ("draft", "1159.49")
    assert told["explanation"] == f"{WHY} {AS_DRAFT}"


def test_the_monthly_job_keeps_long_bills_as_drafts_and_issues_the_others(
    utility: Utility,
) -> None:
    utility.add_meter("LONG", opened_on=date(2026, 9, 1), kind="smart")
    utility.add_meter("USUAL", opened_on=date(2026, 10, 1), kind="smart")
    utility.now = local(utility, "2026-11-01T00:30")
    utility.submit("LONG", 1210, source="smart")
    utility.submit("USUAL", 1117, source="smart")
    run = run_job(utility.services, "monthly_bills", local(utility, "2026-11-01T02:00"), "test")
    assert (run.status, run.done_count, run.failed_count) == ("done", 2, 1)
    (aside,) = utility.services.database.set_aside(job=run.job, scheduled_on=run.scheduled_on)
    assert (aside.subject, aside.code) == ("LONG", "held_draft")
    assert aside.reason == f"Its bill is kept as a draft. {WHY}"
    assert_held(utility, "LONG")
    (usual,) = utility.bills_of("USUAL")
    assert (usual.status, usual.number, usual.held_because) == ("issued", 1, None)


def test_an_administrator_issues_it_as_it_stands(utility: Utility) -> None:
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=61))
    draft = utility.submit("M1", 1210).bill
    assert draft is not None
    bill = utility.services.bill_approval.issue(bill_id=draft.id, principal=ADMIN, now=utility.now)
    assert (bill.status, bill.number, bill.total_minor) == ("issued", 1, 115_949)
    assert len(utility.services.database.outbox_of(bill.id)) == 1


def test_an_accepted_flagged_reading_shows_why_and_makes_a_draft(utility: Utility) -> None:
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=61))
    flagged = utility.submit("M1", 900)
    review: ReadingReview = utility.services.reading_review
    seen = review.preview(reading_id=flagged.reading.id, reading_kwh="1210", now=utility.now)
    assert seen.explanation == f"{WHY} {AS_DRAFT}"
    review.correct(
        reading_id=flagged.reading.id,
        reading_kwh="1210",
        reason="digits swapped",
        principal=ADMIN,
        now=utility.now,
    )
    assert_held(utility, "M1")


def test_a_correction_says_it_and_stays_issued_since_a_person_is_at_work(
    utility: Utility,
) -> None:
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=61))
    draft = utility.submit("M1", 1210).bill
    assert draft is not None
    bill = utility.services.bill_approval.issue(bill_id=draft.id, principal=ADMIN, now=utility.now)
    desk = Correcting(utility)
    wrong = desk.closed_at(bill, "1220")
    (change,) = desk.plan(wrong).changes
    assert change.new is not None
    assert change.new.held_because == WHY
    desk.execute(wrong)
    (again,) = utility.bills_of("M1")
    assert (again.status, again.held_because) == ("issued", None)
    assert_one_chain(utility, "M1")
