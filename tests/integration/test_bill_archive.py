"""The printed bill: as it was at its issue, the same bytes for ever."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from services.bill_documents import BillDocument, MissingLetters, render
from services.database.errors import IllegalChange
from services.jobs.runs import claim
from services.records.bills import Bill
from services.records.entries import NewPayment
from tests.integration.test_bill_states import draft_of
from tests.integration.utility import ADMIN, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    made.add_meter("M1", opened_on=made.today - timedelta(days=61))
    yield made
    made.services.close()


def billed(utility: Utility, kwh: int, *, days_ago: int = 0) -> Bill:
    # Bills of one moment stand beside each other; these are issued one after the other.
    utility.now += timedelta(minutes=1)
    bill = utility.submit("M1", kwh, at=utility.now - timedelta(days=days_ago)).bill
    assert bill is not None
    return bill


def pay(utility: Utility, bill: Bill, minor: int) -> None:
    row: dict[str, Any] = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": minor}
    row |= {"currency": "INR", "method": "cash", "reference": "R-1"}
    row |= {"received_at": utility.now, "received_on": utility.today}
    utility.services.database.record_payments(
        actor=ADMIN.user, payments=[NewPayment.model_validate(row)]
    )


def test_what_comes_after_its_issue_changes_nothing_of_a_printed_bill(utility: Utility) -> None:
    archive = utility.services.bill_archive
    first = billed(utility, 1117, days_ago=30)
    pay(utility, first, 10_000)
    second = billed(utility, 1200)
    document = archive.document(second.id)
    assert document.brought_forward_minor == first.total_minor
    assert [(e.kind, e.amount_minor, e.method) for e in document.entries] == [
        ("payment", -10_000, "cash")
    ]
    assert document.amount_due_minor == first.total_minor - 10_000 + second.total_minor
    assert [m.wh for m in document.months if m.wh] == [first.consumption_wh, second.consumption_wh]
    pay(utility, second, 5_000)
    utility.services.database.void_bill(actor=ADMIN.user, bill_id=second.id, reason="misread")
    assert archive.document(second.id) == document
    # Rendered only now, it is still the bill of its issue.
    kept = archive.pdf(second.id)
    assert kept.pdf.startswith(b"%PDF")
    pay(utility, first, 1_000)
    assert archive.pdf(second.id) == kept


def test_recent_bills_are_printed_by_themselves_once(utility: Utility) -> None:
    archive, database = utility.services.bill_archive, utility.services.database
    bill = billed(utility, 1117, days_ago=30)
    assert archive.print_recent(now=utility.now, limit=20) == 1
    assert database.bill_document(bill.id) is not None
    assert archive.print_recent(now=utility.now, limit=20) == 0


def test_none_is_printed_in_the_background_while_the_monthly_bills_are_made(
    utility: Utility,
) -> None:
    archive = utility.services.bill_archive
    bill, other = billed(utility, 1117, days_ago=30), billed(utility, 1200)
    run, _ = claim(
        utility.services, job="monthly_bills", scheduled_on=utility.today, started_by="x"
    )
    assert run is not None
    assert archive.print_recent(now=utility.now, limit=20) == 0
    assert archive.pdf(bill.id).pdf.startswith(b"%PDF")
    utility.services.database.finish_job_run(run=run.ref, status="done", detail="")
    assert archive.print_recent(now=utility.now, limit=20) == 1
    assert utility.services.database.bill_document(other.id) is not None


def test_a_bill_that_cannot_be_printed_keeps_nobody_waiting(
    utility: Utility, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    archive, database = utility.services.bill_archive, utility.services.database
    good, bad = billed(utility, 1117, days_ago=30), billed(utility, 1200)

    def jammed(document: BillDocument) -> bytes:
        if document.number == bad.reference:
            raise ValueError("no such glyph")
        return render(document)

    monkeypatch.setattr("services.bill_documents.archive.render", jammed)
    assert archive.print_recent(now=utility.now, limit=20) == 2
    assert database.bill_document(good.id) is not None
    assert f"The PDF of bill {bad.id} could not be made." in caplog.text
    assert "ValueError" in (database.unprinted_because(bad.id) or "")
    assert archive.print_recent(now=utility.now, limit=20) == 0
    monkeypatch.undo()
    archive.pdf(bad.id)
    assert database.unprinted_because(bad.id) is None


def test_a_bill_that_would_lose_letters_is_not_kept_but_reported_and_tried_again(
    utility: Utility, database: str
) -> None:
    archive, books = utility.services.bill_archive, utility.services.database
    bill = billed(utility, 1117, days_ago=30)
    with psycopg.connect(database, options="-c billing.actor=somebody") as connection:
        connection.execute("update public.customers set name = 'Asha \u0378'")
    assert archive.print_recent(now=utility.now, limit=1) == 1
    assert books.bill_document(bill.id) is None
    (reported,) = books.unprinted_bills().items
    assert (reported.bill_id, reported.account_no) == (bill.id, "A-M1")
    assert "U+0378" in reported.reason
    # Others do not wait for it, even where only one is taken at a time.
    other = billed(utility, 1200)
    with pytest.raises(MissingLetters):
        archive.pdf(bill.id)
    with psycopg.connect(database, options="-c billing.actor=somebody") as connection:
        connection.execute("update public.customers set name = 'Asha'")
    assert archive.print_recent(now=utility.now, limit=1) == 1
    assert books.bill_document(other.id) is not None
    assert archive.print_recent(now=utility.now, limit=1) == 0
    # Long after its issue, it is still tried.
    with psycopg.connect(database) as connection:
        connection.execute("update public.unprinted_bills set tried_at = now() - interval '61 min'")
    later = utility.now + timedelta(days=30)
    assert archive.print_recent(now=later, limit=1) == 1
    assert books.bill_document(bill.id) is not None
    assert books.unprinted_bills().total == 0


def test_a_draft_is_not_printed(utility: Utility) -> None:
    draft = draft_of(utility, "M1", 1117)
    with pytest.raises(IllegalChange, match="draft"):
        utility.services.bill_archive.pdf(draft)


def test_a_kept_bill_is_neither_changed_nor_exchanged(utility: Utility, database: str) -> None:
    bill = billed(utility, 1117, days_ago=30)
    utility.services.bill_archive.pdf(bill.id)
    for change in (
        "update public.bill_documents set pdf = 'x'",
        "delete from public.bill_documents",
    ):
        with psycopg.connect(database) as connection, pytest.raises(psycopg.Error, match="never"):
            connection.execute(change)
