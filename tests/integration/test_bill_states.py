"""What a bill may become: approved, paid, void; and nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from services.database.errors import IllegalChange, NotFound
from services.identity.auth import NotAllowed
from services.readings.submission import parse_submission
from services.records.bills import Bill
from services.records.entries import NewPayment
from services.records.readings import Read
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def draft_of(utility: Utility, serial: str, kwh: int) -> str:
    """A draft up to a reading of now, stored as a job stores its bills; its id."""
    services = utility.services
    when = utility.now.isoformat()
    body = {"meter_serial": serial, "reading_kwh": str(kwh), "read_at": when}
    read = parse_submission(body, zone=services.settings.timezone, now=utility.now)
    row = {"id": str(uuid4()), "meter_id": "", "status": "accepted", "validation": {}}
    context = services.database.reading_context(
        meter_serial=serial, read_at=read.read_at, read_on=read.read_on
    )
    row |= {"meter_id": context.meter.id, "read_at": when, "read_on": read.read_on.isoformat()}
    services.database.import_readings(actor="test", rows=[row | {"register_wh": read.register_wh}])
    closing = Read(
        id=str(row["id"]),
        meter_id=context.meter.id,
        read_at=read.read_at,
        read_on=read.read_on,
        register_wh=read.register_wh,
    )
    bill = services.issuer.bills_up_to(context=context, closing=closing, now=utility.now)[-1]
    services.database.store_job_bills(actor="test", bills=[replace(bill, issue=None, outbox=None)])
    return bill.id


def pay(utility: Utility, bill: Bill, minor: int) -> None:
    payment = {"id": str(uuid4()), "bill_id": bill.id, "amount_minor": minor, "currency": "INR"}
    payment |= {"method": "cash", "reference": "R-1", "received_at": utility.now.isoformat()}
    payment |= {"received_on": utility.today.isoformat()}
    utility.services.database.record_payments(
        actor=ADMIN.user, payments=[NewPayment.model_validate(payment)]
    )


def test_a_draft_has_no_number_until_an_administrator_issues_it(utility: Utility) -> None:
    utility.add_meter("M1")
    draft = utility.services.database.bill(draft_of(utility, "M1", 1117))
    assert (draft.status, draft.number, draft.due_date) == ("draft", None, None)
    approval = utility.services.bill_approval
    with pytest.raises(NotAllowed):
        approval.issue(bill_id=draft.id, principal=ENGINEER, now=utility.now)
    issued = approval.issue(bill_id=draft.id, principal=ADMIN, now=utility.now)
    assert (issued.status, issued.number, issued.total_minor) == ("issued", 1, 54035)
    assert issued.due_date == utility.today + timedelta(days=15)
    # Twice is as good as once.
    assert approval.issue(bill_id=draft.id, principal=ADMIN, now=utility.now).number == 1
    with pytest.raises(NotFound):
        approval.issue(bill_id=str(uuid4()), principal=ADMIN, now=utility.now)


def test_payments_make_a_bill_partly_paid_and_then_paid_and_the_rest_stays_on_the_account(
    utility: Utility,
) -> None:
    utility.add_meter("M1")
    bill = utility.submit("M1", 1117).bill
    assert bill is not None
    pay(utility, bill, 40000)
    assert utility.services.database.bill(bill.id).status == "partially_paid"
    pay(utility, bill, 20000)
    paid = utility.services.database.bill(bill.id)
    assert (paid.status, paid.amount_paid_minor, paid.balance_minor) == ("paid", 54035, 0)
    assert utility.services.database.account(bill.customer_id).balance_minor == -5965


def test_only_the_last_bill_of_the_chain_is_voided_and_its_payments_pay_the_one_before(
    utility: Utility,
) -> None:
    utility.add_meter("M1")
    first = utility.submit("M1", 1050, at=utility.now - timedelta(days=10)).bill
    last = utility.submit("M1", 1117).bill
    assert first is not None
    assert last is not None
    database = utility.services.database
    with pytest.raises(IllegalChange, match="later bill"):
        database.void_bill(actor=ADMIN.user, bill_id=first.id, reason="Wrong tariff")
    pay(utility, last, 100)
    void = database.void_bill(actor=ADMIN.user, bill_id=last.id, reason="Wrong tariff")
    assert (void.status, void.amount_paid_minor) == ("void", 0)
    assert database.bill(first.id).amount_paid_minor == 100
    assert database.check_ledger().problems == ()


def test_what_was_voided_is_billed_anew_by_the_next_reading_under_a_new_number(
    utility: Utility,
) -> None:
    utility.add_meter("M1")
    bill = utility.submit("M1", 1050, at=utility.now - timedelta(days=10)).bill
    assert bill is not None
    void = utility.services.database.void_bill(actor=ADMIN.user, bill_id=bill.id, reason="Misread")
    assert (void.status, void.number, void.void_reason) == ("void", 1, "Misread")
    again = utility.submit("M1", 1117).bill
    assert again is not None
    assert (again.number, again.consumption_wh) == (2, 117_000)
    assert again.opening_reading_id == bill.opening_reading_id


@pytest.mark.parametrize(
    "change",
    [
        "update public.bills set total_minor = 1, subtotal_minor = 1, tax_minor = 0",
        "update public.bills set lines = '[]'",
        "update public.bills set number = 99",
        "update public.bills set status = 'draft'",
        "update public.bills set due_date = due_date + 30",
        "update public.bills set closing_wh = closing_wh + 1",
        "update public.readings set register_wh = 1",
        "update public.readings set status = 'superseded' where not is_opening",
        "update public.readings set status = 'rejected' where not is_opening",
        "update public.tariff_versions set definition = '{}'",
        "delete from public.bills",
        "delete from public.readings",
        "truncate public.payments cascade",
    ],
)
def test_the_database_itself_refuses_to_rewrite_what_happened(
    utility: Utility, database: str, change: str
) -> None:
    utility.add_meter("M1")
    assert utility.submit("M1", 1117).bill is not None
    # As the owner of the tables, for whom no missing right stands in the way.
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'intruder', false)")
        with pytest.raises(psycopg.Error, match=r"never|cannot become|billed|already"):
            connection.execute(change)
