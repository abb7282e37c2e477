"""Reads at the end of months are billed by month, whoever bills them; too short bills wait."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app import create_app
from services.identity.auth import NotAllowed
from services.identity.permissions import Role
from services.jobs.by_hand import run_job
from services.messages.templates import TemplateWriter, WriteMessage
from services.outbox.outbox import StepDone
from services.readings.reading_to_bill import Submitted
from services.readings.review import CannotBillReading
from services.records.bills import Bill
from services.records.outbox import OutboxKind
from tests.integration.api.talk import READING, answer_of, bearer
from tests.integration.job_tools import AFTER_TWO, at_once, installed, tick_and_wait
from tests.integration.utility import (
    ACTOR,
    ADMIN,
    ENGINEER,
    KSEB,
    Utility,
    assert_one_chain,
    make_utility,
)

SLABS = {"slab_limits_per": "bill", "slabs": [{"up_to_kwh": "100", "rate": "1"}, {"rate": "5"}]}
THREE = [("2026-09-01", 1100), ("2026-10-01", 1200), ("2026-11-01", 1300)]


class Sent:
    """What customers were sent, by the bill it is about."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, *, bill: Bill, kind: OutboxKind, facts: Mapping[str, str]) -> StepDone:
        self.texts.append(facts["text"])
        return StepDone(f"{kind} of {bill.reference}")


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def utility(database: str, tmp_path: Path, sent: Sent) -> Iterator[Utility]:
    handlers: dict[int, Any] = {12: sent}
    made = make_utility(database, tmp_path, step_handlers=handlers)
    handlers[11] = WriteMessage(
        made.services.database, TemplateWriter(lambda: "The Utility"), lambda: made.today
    )
    made.services.outbox.handlers = handlers
    with_slabs(made)
    yield made
    made.services.close()


def with_slabs(utility: Utility, **how: Any) -> None:
    """The tariff of all meters from 2021 on: 100 kWh at 1 a bill, the rest at 5."""
    energy = {"code": "energy", "description": "Energy", "kind": "energy"} | SLABS | how
    definition = {
        "code": KSEB["code"],
        "name": "Slabs",
        "currency": "INR",
        "effective_from": "2021-01-01",
        "charges": [energy],
    }
    row = {"row": 1, "id": str(uuid4()), "tariff_id": str(uuid4()), "definition": definition}
    row |= {k: definition[k] for k in ("code", "name", "currency", "effective_from")}
    answer = utility.services.database.import_rows(
        what="tariffs", actor=ACTOR, rows=[row], dry_run=False
    )
    assert not answer.errors, answer


def local(utility: Utility, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=utility.services.settings.timezone)


def stored(utility: Utility, *reads: tuple[str, int], source: str = "imported") -> None:
    """A meter M1 opened on 1 August, whose reads came in without being billed."""
    utility.add_meter("M1", opening_kwh=1000, opened_on=date(2026, 8, 1), kind="smart")
    for day, kwh in reads:
        utility.now = local(utility, f"{day}T00:30")
        submitted = utility.submit("M1", kwh, source=source)
        assert (submitted.outcome, submitted.bill) == ("stored", None)


def read(utility: Utility, kwh: int, when: str) -> Submitted:
    utility.now = local(utility, when)
    return utility.submit("M1", kwh)


def billed(utility: Utility) -> list[tuple[str, str, int]]:
    return [(f"{b.period_end:%m-%d}", b.status, b.total_minor) for b in utility.bills_of("M1")]


def test_an_engineer_s_reading_bills_the_waiting_months_one_by_one(
    utility: Utility, sent: Sent
) -> None:
    stored(utility, *THREE)
    submitted = read(utility, 1350, "2026-11-20T12:00")
    assert submitted.outcome == "billed"
    assert billed(utility) == [
        ("09-01", "issued", 10_000),
        ("10-01", "issued", 10_000),
        ("11-01", "issued", 10_000),
        ("11-20", "issued", 5_000),
    ]
    bills = utility.bills_of("M1")
    assert [b.number for b in bills] == [1, 2, 3, 4]
    assert [b.id for b in (*submitted.earlier, submitted.bill) if b] == [b.id for b in bills]
    assert_one_chain(utility, "M1")
    # Each owes what a bill owes, and the customer has one message about all of them.
    assert all(utility.services.database.outbox_of(b.id) for b in bills)
    utility.services.outbox.sweep()
    (text,) = sent.texts
    assert "INV-000004" in text
    for told in ("INV-000001", "INV-000002", "INV-000003, 1 Oct 2026 to 1 Nov 2026: ₹100.00."):
        assert told in text


def test_the_monthly_job_bills_late_months_one_by_one(utility: Utility) -> None:
    stored(utility, *THREE)
    run = run_job(utility.services, "monthly_bills", local(utility, "2026-11-01T02:00"), "test")
    assert (run.status, run.failed_count) == ("done", 0)
    assert [total for _, _, total in billed(utility)] == [10_000] * 3
    assert_one_chain(utility, "M1")


def test_reads_of_three_months_imported_late_make_three_bills(
    utility: Utility, database: str
) -> None:
    installed(database, AFTER_TWO - timedelta(hours=1))
    utility.add_meter("M1", opening_kwh=1000, opened_on=date(2026, 8, 1))
    tick_and_wait(at_once(utility.services, AFTER_TWO))
    assert billed(utility) == []
    utility.now = local(utility, "2026-11-20T12:00")
    for day, kwh in THREE:
        utility.submit("M1", kwh, at=local(utility, f"{day}T10:00"), source="imported")
    tick_and_wait(at_once(utility.services, utility.now))
    assert [total for _, _, total in billed(utility)] == [10_000] * 3
    assert_one_chain(utility, "M1")


def test_uneven_months_are_not_averaged(utility: Utility) -> None:
    stored(utility, ("2026-09-01", 1050), ("2026-10-01", 1110), ("2026-11-01", 1270))
    run_job(utility.services, "monthly_bills", local(utility, "2026-11-01T02:00"), "test")
    assert [total for _, _, total in billed(utility)] == [5_000, 6_000, 40_000]


def test_smart_reads_of_each_week_make_a_bill_a_month(utility: Utility) -> None:
    weeks = ["08-09", "08-16", "08-23", "08-30", "09-06", "09-13", "09-20", "09-27", "10-04"]
    weeks += ["10-11", "10-18", "10-25", "11-01"]
    reads = [(f"2026-{day}", 1000 + 25 * (n + 1)) for n, day in enumerate(weeks)]
    stored(utility, *reads, source="smart")
    run_job(utility.services, "monthly_bills", local(utility, "2026-11-01T02:00"), "test")
    assert [end for end, _, _ in billed(utility)] == ["08-30", "10-04", "11-01"]
    assert_one_chain(utility, "M1")


def test_an_accepted_flagged_reading_bills_the_waiting_months_too(utility: Utility) -> None:
    stored(utility, *THREE)
    flagged = read(utility, 1200, "2026-11-20T12:00")
    assert (flagged.outcome, billed(utility)) == ("needs_review", [])
    utility.services.reading_review.correct(
        reading_id=flagged.reading.id,
        reading_kwh="1350",
        reason="misread",
        principal=ADMIN,
        now=utility.now,
    )
    assert [end for end, _, _ in billed(utility)] == ["09-01", "10-01", "11-01", "11-20"]
    assert_one_chain(utility, "M1")


def test_a_reading_soon_after_a_month_end_ends_that_month_while_it_is_one(
    utility: Utility,
) -> None:
    stored(utility, *THREE[:2])
    assert read(utility, 1205, "2026-10-04T12:00").outcome == "billed"
    assert [end for end, _, _ in billed(utility)] == ["09-01", "10-04"]


def test_a_reading_too_soon_for_a_bill_bills_the_months_before_and_is_stored(
    utility: Utility,
) -> None:
    utility.add_meter("M1", opening_kwh=1000, opened_on=date(2026, 8, 26), kind="smart")
    utility.now = local(utility, "2026-10-01T00:30")
    utility.submit("M1", 1100, source="smart")
    submitted = read(utility, 1103, "2026-10-02T12:00")
    assert [end for end, _, _ in billed(utility)] == ["10-01"]
    assert submitted.bill is not None
    assert (submitted.outcome, submitted.reading.bill_id) == ("billed", None)
    assert submitted.explanation.startswith("Only 1 day after the last billed read of 1 Oct 2026")
    again = utility.submit("M1", 1103)
    assert again.bill is not None
    assert (again.outcome, again.bill.id) == ("replay", submitted.bill.id)


def test_the_api_answers_the_last_bill_and_all_of_them(utility: Utility) -> None:
    stored(utility, *THREE)
    utility.now = local(utility, "2026-11-20T12:00")
    client = create_app(utility.services, clock=lambda: utility.now).test_client()
    body = {"meter_serial": "M1", "reading_kwh": "1350", "read_at": utility.now.isoformat()}
    told = answer_of(client.post(READING, json=body, headers=bearer(utility, Role.ENGINEER)), 201)
    assert told["bill"]["period_end"] == "2026-11-20"
    assert [b["total"] for b in told["bills"]] == ["100.00", "100.00", "100.00", "50.00"]
    assert told["bills"][-1] == told["bill"]
    again = answer_of(client.post(READING, json=body, headers=bearer(utility, Role.ENGINEER)), 200)
    assert [b["id"] for b in again["bills"]] == [b["id"] for b in told["bills"]]


def test_a_void_month_in_the_middle_does_not_hide_the_others(utility: Utility) -> None:
    """A bill that opens where void ones opened has an id of its own."""
    stored(utility, *THREE)
    read(utility, 1350, "2026-11-20T12:00")
    for bill in reversed(utility.bills_of("M1")):
        utility.services.rebilling.void(
            bill_id=bill.id, reason="wrong", principal=ADMIN, now=utility.now
        )
    assert billed(utility) == []
    read(utility, 1352, "2026-11-21T12:00")
    assert [end for end, _, _ in billed(utility)] == ["09-01", "10-01", "11-01", "11-21"]
    assert_one_chain(utility, "M1")


# -- bills that are too short --------------------------------------------------------------------


@pytest.fixture
def check_read(utility: Utility) -> Submitted:
    """A check read one day after a billed one."""
    utility.add_meter("M1", opening_kwh=1000, opened_on=date(2026, 10, 1))
    assert read(utility, 1100, "2026-11-01T12:00").outcome == "billed"
    return read(utility, 1100, "2026-11-02T12:00")


def test_a_check_read_a_day_later_is_stored_without_a_bill(
    utility: Utility, check_read: Submitted
) -> None:
    assert (check_read.outcome, check_read.bill) == ("stored", None)
    assert check_read.explanation == (
        "Only 1 day after the last billed read of 1 Nov 2026: stored, billed with the next reading."
    )
    assert read(utility, 1130, "2026-11-30T12:00").outcome == "billed"
    assert [end for end, _, _ in billed(utility)] == ["11-01", "11-30"]


def test_the_monthly_job_leaves_a_bill_of_a_day_to_the_next_month(utility: Utility) -> None:
    utility.add_meter("M1", opening_kwh=1000, opened_on=date(2026, 10, 31), kind="smart")
    utility.now = local(utility, "2026-11-01T00:30")
    utility.submit("M1", 1002, source="smart")
    run = run_job(utility.services, "monthly_bills", local(utility, "2026-11-01T02:00"), "test")
    assert (run.status, run.done_count, run.failed_count) == ("done", 0, 0)
    assert billed(utility) == []


def test_an_administrator_bills_a_stored_reading(utility: Utility, check_read: Submitted) -> None:
    review, now = utility.services.reading_review, utility.now
    (seen,) = review.bills_of_stored(reading_id=check_read.reading.id, now=now)
    bill = review.bill_stored(reading_id=check_read.reading.id, principal=ADMIN, now=now)
    assert (bill.period_start, bill.period_end) == (date(2026, 11, 1), date(2026, 11, 2))
    assert (bill.status, bill.total_minor) == ("paid", seen.rated.total_minor)
    with pytest.raises(CannotBillReading, match="not billed yet"):
        review.bill_stored(reading_id=check_read.reading.id, principal=ADMIN, now=now)
    with pytest.raises(NotAllowed):
        review.bill_stored(reading_id=check_read.reading.id, principal=ENGINEER, now=now)
    assert_one_chain(utility, "M1")


def test_how_short_a_bill_may_be_is_a_setting(database: str, tmp_path: Path) -> None:
    utility = make_utility(database, tmp_path, more_settings={"SHORTEST_BILL_DAYS": "7"})
    with_slabs(utility)
    utility.add_meter("M1", opening_kwh=1000, opened_on=date(2026, 10, 1))
    read(utility, 1100, "2026-11-01T12:00")
    assert read(utility, 1120, "2026-11-07T12:00").outcome == "stored"
    assert read(utility, 1123, "2026-11-08T12:00").outcome == "billed"
    utility.services.close()


def test_a_tariff_s_own_period_leaves_fewer_days_to_the_next_month(utility: Utility) -> None:
    """The KSEB tariff is made for 25 to 35 days: up to 4 days go with the next month."""
    utility.add_meter("K1", opening_kwh=1000, opened_on=date(2020, 6, 1))
    utility.now = local(utility, "2020-07-01T12:00")
    assert utility.submit("K1", 1100).outcome == "billed"
    utility.now = local(utility, "2020-07-02T12:00")
    assert utility.submit("K1", 1103).outcome == "stored"
