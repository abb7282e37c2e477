"""Reminders and overdue marking on a real database, for bills due on 16 November 2026."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from services.jobs import overdue_marking
from services.jobs.by_hand import run_job
from services.records.entries import NewPayment
from tests.integration.utility import Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    # 1 November in Kolkata; a bill is due after 15 days.
    made = make_utility(database, tmp_path, now=datetime(2026, 11, 1, 6, tzinfo=UTC))
    yield made
    made.services.close()


def billed_meters(utility: Utility, count: int) -> list[str]:
    serials = [f"M{n}" for n in range(count)]
    for serial in serials:
        utility.add_meter(serial, opening_kwh=1000)
        utility.submit(serial, 1117)
    return serials


def run_on(utility: Utility, job: str, day: int) -> int:
    """Run a job on that day of November; how many bills it found."""
    at = datetime(2026, 11, day, 6, tzinfo=UTC)
    return run_job(utility.services, job, at, "test").done_count


def pay(utility: Utility, serial: str) -> None:
    [bill] = utility.bills_of(serial)
    payment = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": bill.total_minor}
    payment |= {"currency": bill.currency, "method": "cash", "received_on": "2026-11-05"}
    payment |= {"received_at": "2026-11-05T06:00:00Z"}
    assert (
        utility.services.database.record_payments(
            actor="test", payments=[NewPayment.model_validate(payment)]
        )
        == 1
    )


def outbox_kinds(utility: Utility, serial: str) -> list[str]:
    [bill] = utility.bills_of(serial)
    return sorted(outbox.kind for outbox in utility.services.database.outbox_of(bill.id))


def test_bills_due_within_three_days_are_reminded_of_once(utility: Utility) -> None:
    serials = billed_meters(utility, 2)
    pay(utility, serials[1])
    assert [run_on(utility, "payment_reminders", day) for day in (12, 13, 14, 17)] == [0, 1, 0, 0]
    assert outbox_kinds(utility, serials[0]) == ["bill_issued", "payment_reminder"]
    assert outbox_kinds(utility, serials[1]) == ["bill_issued"]


def test_bills_past_their_due_date_become_overdue_and_owe_the_notice_once(
    utility: Utility, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue_marking, "BATCH", 2)
    serials = billed_meters(utility, 4)
    pay(utility, serials[3])
    assert [run_on(utility, "overdue_marking", day) for day in (16, 17, 18)] == [0, 3, 0]
    [bill] = utility.bills_of(serials[0])
    assert (bill.status, bill.overdue_since) == ("overdue", date(2026, 11, 17))
    assert outbox_kinds(utility, serials[0]) == ["bill_issued", "overdue_notice"]
    assert utility.bills_of(serials[3])[0].status == "paid"
