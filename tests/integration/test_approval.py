"""With approval on, every bill is a draft until the office issues it, however it is made."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from app import create_app
from services.identity.permissions import Role
from services.jobs.by_hand import run_job
from services.outbox.outbox import StepDone
from services.readings.assessment import AS_DRAFT
from services.records.bills import Bill
from services.records.outbox import OutboxKind
from tests.integration.api.talk import READING, bearer
from tests.integration.utility import ADMIN, Utility, assert_one_chain, make_utility

OCT_1 = date(2026, 10, 1)


class Sent:
    """Every owed step that is done, as (kind, step's bill)."""

    def __init__(self) -> None:
        self.done: list[tuple[OutboxKind, str]] = []

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        self.done.append((kind, bill.reference))
        return StepDone(f"{len(facts)} facts")


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def utility(database: str, tmp_path: Path, sent: Sent) -> Iterator[Utility]:
    made = make_utility(
        database, tmp_path, step_handlers={12: sent}, more_settings={"BILL_APPROVAL": "on"}
    )
    yield made
    made.services.close()


def local(utility: Utility, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=utility.services.settings.timezone)


def assert_outbox_is_empty_for(utility: Utility, bill: Bill | None) -> None:
    """Of a draft nobody has heard: no number, no due date, no entry, no message, no reminder."""
    assert bill is not None
    database = utility.services.database
    assert (bill.status, bill.number, bill.due_date, bill.issued_on) == ("draft", None, None, None)
    assert database.outbox_of(bill.id) == []
    assert database.ledger(customer_id=bill.customer_id).total == 0
    assert database.check_ledger().problems == ()


def test_the_story_keeps_a_draft_and_says_so(utility: Utility, sent: Sent) -> None:
    utility.add_meter("M1")
    submitted = utility.submit("M1", 1117)
    assert (submitted.outcome, submitted.explanation) == ("billed", AS_DRAFT)
    assert_outbox_is_empty_for(utility, submitted.bill)
    later = [(s.status, s.detail) for s in submitted.steps if s.step >= 8]
    assert later == [("skipped", AS_DRAFT)] * 6
    again = utility.submit("M1", 1117)
    assert (again.outcome, again.steps[-1].detail) == ("replay", AS_DRAFT)
    assert utility.services.outbox.sweep() == 0
    assert sent.done == []


def test_the_next_reading_goes_on_where_the_draft_ends(utility: Utility) -> None:
    utility.add_meter("M1", opened_on=utility.today - timedelta(days=60))
    utility.submit("M1", 1100, at=utility.now - timedelta(days=30))
    utility.submit("M1", 1190)
    bills = utility.bills_of("M1")
    assert [(b.status, b.consumption_wh) for b in bills] == [("draft", 100_000), ("draft", 90_000)]
    assert_one_chain(utility, "M1")


def test_a_review_keeps_a_draft(utility: Utility) -> None:
    utility.add_meter("M1")
    flagged = utility.submit("M1", 990)
    stored = utility.services.reading_review.correct(
        reading_id=flagged.reading.id,
        reading_kwh="1090",
        reason="digits swapped",
        principal=ADMIN,
        now=utility.now,
    )
    assert_outbox_is_empty_for(utility, stored.bill)


def test_the_monthly_job_keeps_drafts_which_nobody_reminds_of(utility: Utility, sent: Sent) -> None:
    utility.add_meter("M1", opening_kwh=1000, opened_on=OCT_1)
    utility.now = local(utility, "2026-10-31T12:00")
    utility.submit("M1", 1117, source="smart")
    run = run_job(utility.services, "monthly_bills", local(utility, "2026-11-01T02:00"), "test")
    assert (run.done_count, run.detail) == (1, "Drafts for October 2026.")
    (draft,) = utility.bills_of("M1")
    assert_outbox_is_empty_for(utility, draft)
    assert utility.services.books.open_drafts(OCT_1) == 1
    for job, when in (("payment_reminders", "10:00"), ("overdue_marking", "11:00")):
        late = run_job(utility.services, job, local(utility, f"2026-12-20T{when}"), "test")
        assert late.done_count == 0
    assert sent.done == []
    # It is a live bill: the job does not make another one.
    again = run_job(utility.services, "monthly_bills", local(utility, "2026-11-02T02:00"), "test")
    assert (again.done_count, len(utility.bills_of("M1"))) == (0, 1)


def test_the_api_answers_201_with_the_draft(utility: Utility) -> None:
    utility.add_meter("M1")
    client = create_app(utility.services, clock=lambda: utility.now).test_client()
    body = {"meter_serial": "M1", "reading_kwh": "1117", "read_at": utility.now.isoformat()}
    answer = client.post(READING, json=body, headers=bearer(utility, Role.ENGINEER))
    assert answer.status_code == 201
    told = answer.get_json()
    bill = told["bill"]
    assert (bill["status"], bill["number"], bill["due_date"], bill["total"]) == (
        "draft",
        None,
        None,
        "540.35",
    )
    details = {s["step"]: (s["status"], s["detail"]) for s in told["steps"]}
    assert details[12] == ("skipped", AS_DRAFT)


def test_an_issued_draft_is_sent_owed_and_due(utility: Utility, sent: Sent) -> None:
    utility.add_meter("M1")
    draft = utility.submit("M1", 1117).bill
    assert draft is not None
    bill = utility.services.bill_approval.issue(bill_id=draft.id, principal=ADMIN, now=utility.now)
    assert (bill.number, bill.due_date) == (1, utility.today + timedelta(days=15))
    assert utility.services.outbox.sweep() == 1
    assert sent.done == [("bill_issued", "INV-000001")]
    account = utility.services.database.account(bill.customer_id)
    assert account.balance_minor == bill.total_minor
    assert utility.services.database.check_ledger().problems == ()
