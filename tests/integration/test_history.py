"""Each service's change stands in the timeline of whom it is about, in words, with its author."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from services.database.errors import IllegalChange
from services.database.transport import DatabaseRefused
from services.history.entries import Entry
from services.history.notes import InvalidNote
from services.history.timeline import TimelinePage
from services.identity.auth import NotAllowed
from services.quantities.written import day
from services.records.bills import Bill
from services.records.details import Subject
from services.supply.changes import Exchange, TypedRead
from tests.integration.correcting import Correcting
from tests.integration.supply.supplied import Supplied
from tests.integration.test_plans import agree, mark_overdue
from tests.integration.utility import ACTOR, ADMIN, ENGINEER, Utility, make_utility


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


def billed(utility: Utility, serial: str = "M1") -> Bill:
    utility.add_meter(serial)
    bill = utility.submit(serial, 1117).bill
    assert bill is not None
    return bill


def page_of(
    utility: Utility, of: Subject, subject_id: str, kind: str | None = None
) -> TimelinePage:
    return utility.services.timeline.of(
        subject=of, subject_id=subject_id, kind=kind, principal=ADMIN, limit=100
    )


def said(utility: Utility, of: Subject, subject_id: str, kind: str | None = None) -> list[str]:
    """What is said, the newest first, each with who did it."""
    found = page_of(utility, of, subject_id, kind).entries
    return [f"{one.said.what} ({one.by})" for one in found]


def test_a_meter_its_readings_and_bills_are_told_from_connecting_to_paying(
    utility: Utility,
) -> None:
    bill = billed(utility)
    utility.services.office_payments.record_payment(
        payment_id=str(uuid4()),
        bill_id=bill.id,
        body={"amount": "100", "method": "cash", "received_on": utility.today},
        principal=ADMIN,
        now=utility.now,
    )
    told = said(utility, "customer", bill.customer_id)
    assert told == [
        f"Bill {bill.reference} partly paid ({ADMIN.user})",
        f"Payment of ₹100.00 ({ADMIN.user})",
        f"Bill {bill.reference} issued: ₹540.35 ({ENGINEER.user})",
        f"Reading 1,117 kWh of meter M1 ({ENGINEER.user})",
        f"Service point M1 added ({ACTOR})",
        f"Reading 1,000 kWh of meter M1 ({ACTOR})",
        f"Meter M1 installed at M1 ({ACTOR})",
        f"Supply agreed at M1 ({ACTOR})",
        f"Tariff KSEB LT-1A, domestic, single phase ({ACTOR})",
        f"Meter M1 added ({ACTOR})",
        f"The account is kept in INR from now on ({ACTOR})",
        f"Customer added ({ACTOR})",
    ]
    assert said(utility, "meter", bill.meter_id)[-1] == f"Meter M1 added ({ACTOR})"


def test_each_tenant_is_told_of_their_own_days(utility: Utility, database: str) -> None:
    left = billed(utility)
    moved_in = billed(utility, "M2").customer_id
    agreement = str(uuid4())
    with psycopg.connect(database) as connection:
        connection.execute("select set_config('billing.actor', 'asha', true)")
        connection.execute(
            "update public.service_agreements set ends_on = %s, closing_reading_id = %s"
            " where customer_id = %s",
            [left.period_end, left.closing_reading_id, left.customer_id],
        )
        connection.execute(
            "insert into public.service_agreements (id, service_point_id, customer_id, starts_on,"
            " opening_reading_id) values (%s, %s, %s, %s, %s)",
            [
                agreement,
                left.service_point_id,
                moved_in,
                left.period_end,
                left.closing_reading_id,
            ],
        )
        connection.execute(
            "insert into public.agreement_tariffs (id, agreement_id, starts_on, tariff_id)"
            " select gen_random_uuid(), %s, %s, id from public.tariffs",
            [agreement, left.period_end],
        )
    utility.now += timedelta(days=31)
    assert utility.submit("M1", 1234).reading.status == "accepted"
    before = said(utility, "customer", left.customer_id)
    since = said(utility, "customer", moved_in)
    assert "Agreement ended at M1 (asha)" in before
    assert f"Service point M1 added ({ACTOR})" in before
    of_meter = said(utility, "meter", left.meter_id, "supply")
    assert "Agreement ended at M1 (asha)" in of_meter
    assert "Supply agreed at M1 (asha)" in of_meter
    assert "Supply agreed at M1 (asha)" in since
    assert f"Reading 1,000 kWh of meter M1 ({ACTOR})" in before
    assert f"Reading 1,000 kWh of meter M1 ({ACTOR})" not in since
    later = f"Reading 1,234 kWh of meter M1 ({ENGINEER.user})"
    assert later in since
    assert later not in before
    meters = utility.services.readings.meters_of_customer(customer_id=moved_in, principal=ADMIN)
    assert [meter.serial for meter in meters] == ["M1", "M2"]
    assert not utility.services.readings.meters_of_customer(
        customer_id=left.customer_id, principal=ADMIN
    )


def test_a_meter_that_was_exchanged_has_its_part_of_the_bill(utility: Utility) -> None:
    at = Supplied(utility)
    point = at.meter("M1", kwh=99_000)
    at.do(Exchange(point, at.day(20), TypedRead("99040"), "N1", TypedRead("5"), multiplier="2"))
    bill = at.read("N1", 15, 0).bill
    assert bill is not None
    usage, today = utility.services.usage, utility.today
    both = usage.by_customer(customer_id=bill.customer_id, today=today, principal=ADMIN)
    assert {use.meter_serial: sum(m.this_year.wh for m in use.months) for use in both} == {
        "M1": 40_000,
        "N1": 20_000,
    }
    assert [sum(m.this_year.days for m in use.months) for use in both] == [40, 20]
    old = both[0]
    assert usage.of_meter(meter_id=old.meter_id, today=today, principal=ADMIN) == (old,)
    told = said(utility, "customer", bill.customer_id)
    (why,) = (
        one
        for one in page_of(utility, "customer", bill.customer_id, "supply").entries
        if one.said.what == "Meter exchanged at M1"
    )
    assert (why.said.more, why.by) == (f"{day(at.day(20))} · as reported", ADMIN.user)
    for meter in both:
        assert f"Meter exchanged at M1 ({ADMIN.user})" in said(utility, "meter", meter.meter_id)
    assert f"Meter M1 removed at M1 ({ADMIN.user})" in told
    assert f"Meter N1 installed at M1 ({ADMIN.user})" in told
    assert f"Meter M1 removed at M1 ({ADMIN.user})" in said(utility, "meter", old.meter_id)
    assert len(said(utility, "bill", bill.id, "reading")) == 4


def test_details_notes_and_what_is_typed_by_the_office(utility: Utility) -> None:
    bill = billed(utility)
    services, customer = utility.services, bill.customer_id
    seen = services.contacts.details(customer_id=customer, principal=ADMIN)
    body = {"name": "Meera Nair", "address": seen.address, "phone": "+91 98470 12345"}
    services.contacts.change(
        customer_id=customer,
        body=body | {"whatsapp": True},
        seen=seen,
        principal=ADMIN,
        now=utility.now,
    )
    note = str(uuid4())
    for _ in range(2):
        services.notes.add(
            note_id=note, customer_id=customer, text="  Rang.\nFriday ", principal=ADMIN
        )
    with pytest.raises(IllegalChange):
        services.notes.add(note_id=note, customer_id=customer, text="Other", principal=ADMIN)
    for text, why in ((" \n", "empty"), ("x" * 4001, "4,001"), ("a\x00b", "cannot be shown")):
        with pytest.raises(InvalidNote, match=why):
            services.notes.add(
                note_id=str(uuid4()), customer_id=customer, text=text, principal=ADMIN
            )
    (kept,) = page_of(utility, "customer", customer, "note").entries
    assert (kept.said.what, kept.said.more, kept.by) == ("Note", "Rang.\nFriday", ADMIN.user)
    contact = page_of(utility, "customer", customer, "contact").entries
    (changed,) = (one for one in contact if one.said.what == "Changed: name and phone")
    assert [(d.before, d.after) for d in changed.said.details] == [
        ("House M1", "Meera Nair"),
        ("", "+919847012345"),
    ]
    assert "How messages are sent changed" in {one.said.what for one in contact}


def test_credits_deposits_plans_refunds_and_overdue_marks(utility: Utility) -> None:
    bill = billed(utility)
    services, customer = utility.services, bill.customer_id
    services.account_adjustments.adjust(
        entry_id=str(uuid4()),
        customer_id=customer,
        body={"kind": "fee", "amount": "50", "note": "Reconnection"},
        principal=ADMIN,
        now=utility.now,
    )
    receipt = services.office_payments.record_payment(
        payment_id=str(uuid4()),
        bill_id=bill.id,
        body={"amount": "40.35", "method": "cash", "received_on": utility.today},
        principal=ADMIN,
        now=utility.now,
    )
    services.refunds.refund(
        payment_id=receipt.payment.id,
        amount="40.35",
        by_stripe=False,
        method="cash",
        reference="",
        reason="paid by mistake",
        principal=ADMIN,
        now=utility.now,
    )
    late = billed(utility, "M9")
    agree(utility, [bill], equal=2, first_on=utility.today + timedelta(days=5))
    utility.now += timedelta(days=40)
    mark_overdue(utility)
    told = said(utility, "customer", customer)
    for what in (
        f"Fee: ₹50.00 ({ADMIN.user})",
        f"Refund of ₹40.35: went back ({ADMIN.user})",
        f"Instalment plan agreed ({ADMIN.user})",
        "Instalment plan broken (the marking of overdue bills)",
        f"{bill.reference} is not reminded of for now: its money went back ({ADMIN.user})",
    ):
        assert what in told, told
    overdue = f"Bill {late.reference} is overdue (the marking of overdue bills)"
    assert overdue in said(utility, "customer", late.customer_id, "bill")
    of_payment = said(utility, "payment", receipt.payment.id)
    assert f"Payment of ₹40.35 ({ADMIN.user})" in of_payment
    assert f"Refund of ₹40.35: went back ({ADMIN.user})" in of_payment
    assert f"Paid {bill.reference} ({ADMIN.user})" in of_payment
    assert "Instalment plan agreed (admin-1)" in said(utility, "bill", bill.id, "plan")
    assert said(utility, "customer", customer, "deposit") == []


def test_a_deposit_that_is_used(utility: Utility) -> None:
    bill = billed(utility)
    services, customer = utility.services, bill.customer_id
    services.office_payments.take_deposit(
        payment_id=str(uuid4()),
        customer_id=customer,
        body={
            "amount": "600",
            "method": "cash",
            "received_on": utility.today,
        },
        principal=ADMIN,
        now=utility.now,
    )
    services.office_payments.use_deposit(
        entry_id=str(uuid4()),
        customer_id=customer,
        body={"amount": "540.35", "note": "moved out"},
        principal=ADMIN,
        now=utility.now,
    )
    told = said(utility, "customer", customer, "deposit")
    assert told == [
        f"Deposit used: ₹540.35 ({ADMIN.user})",
        f"Deposit of ₹600.00 ({ADMIN.user})",
    ]
    assert f"Bill {bill.reference} paid ({ADMIN.user})" in said(utility, "bill", bill.id)


def test_a_correction_is_told_of_the_customer_the_meter_and_each_bill(utility: Utility) -> None:
    at = Correcting(utility)
    bills = at.chain("M1", 3)
    at.execute(at.closed_at(bills[1], "1250"))
    wanted = f"Reading corrected ({ADMIN.user})"
    assert wanted in said(utility, "customer", bills[0].customer_id, "correction")
    assert wanted in said(utility, "meter", bills[0].meter_id)
    assert wanted in said(utility, "bill", bills[1].id)
    assert f"Bill {bills[1].reference} made void ({ADMIN.user})" in said(
        utility, "bill", bills[1].id
    )
    assert wanted not in said(utility, "bill", bills[0].id)


def test_a_flagged_reading_is_told_with_what_was_decided(utility: Utility) -> None:
    utility.add_meter("M2")
    flagged = utility.submit("M2", 900).reading
    utility.services.reading_review.reject(
        reading_id=flagged.id, reason="it was another meter", principal=ADMIN
    )
    newest = page_of(utility, "meter", flagged.meter_id, "reading").entries[0]
    assert newest.said.what.startswith("Reading 900 kWh of ")
    assert newest.said.what.endswith(" rejected")
    assert (newest.said.more, newest.by) == ("it was another meter", ADMIN.user)


def test_a_tariffs_versions_are_told(utility: Utility) -> None:
    (tariff,) = utility.services.database.tariffs()
    told = said(utility, "tariff", tariff.id)
    assert told[-1] == f"Tariff {tariff.name} made ({ACTOR})"
    begins = day(tariff.begins[0])
    assert f"Version from {begins} published ({ACTOR})" in told


def test_the_pages_follow_each_other_and_an_engineer_gets_nothing(utility: Utility) -> None:
    customer = billed(utility).customer_id
    whole = page_of(utility, "customer", customer)
    timeline, key = utility.services.timeline, None
    walked: list[Entry] = []
    for _ in range(20):
        page = timeline.of(
            subject="customer", subject_id=customer, principal=ADMIN, after=key, limit=2
        )
        walked += page.entries
        if page.older is None:
            break
        key = page.older
    assert walked == list(whole.entries)
    with pytest.raises(DatabaseRefused):
        timeline.of(subject="customer", subject_id=customer, principal=ADMIN, after=("never", "a1"))
    with pytest.raises(NotAllowed):
        timeline.of(subject="customer", subject_id=customer, principal=ENGINEER)
    with pytest.raises(NotAllowed):
        utility.services.notes.add(
            note_id=str(uuid4()), customer_id=customer, text="x", principal=ENGINEER
        )
    with pytest.raises(NotAllowed):
        utility.services.usage.by_customer(
            customer_id=customer, today=utility.today, principal=ENGINEER
        )


def test_a_new_audited_table_is_told_without_a_change_here(utility: Utility, database: str) -> None:
    bill = billed(utility)
    with psycopg.connect(database) as connection:
        connection.execute(
            "create table public.visits (id uuid primary key, customer_id uuid, fee_minor bigint,"
            " currency text, visited_on date);"
            "select private.audit_table('public.visits');"
        )
        connection.execute("select set_config('billing.actor', 'asha', true)")
        connection.execute(
            "insert into public.visits values (gen_random_uuid(), %s, 5000, 'INR', '2026-11-12')",
            [bill.customer_id],
        )
    entry = page_of(utility, "customer", bill.customer_id).entries[0]
    assert (entry.said.what, entry.by) == ("Visit added", "asha")
    assert {d.label: d.after for d in entry.said.details} == {
        "Currency": "INR",
        "Customer": "House M1, account A-M1",
        "Fee": "₹50.00",
        "Visited": "12 Nov 2026",
    }


def test_a_note_is_never_changed_by_anybody(utility: Utility, database: str) -> None:
    customer = billed(utility).customer_id
    utility.services.notes.add(
        note_id=str(uuid4()), customer_id=customer, text="Rang", principal=ADMIN
    )
    with psycopg.connect(database) as connection:
        for statement in (
            "update public.customer_notes set note = 'x'",
            "delete from public.customer_notes",
        ):
            with pytest.raises(psycopg.Error), connection.transaction():
                connection.execute(statement)


def test_use_is_by_meter_and_month_as_it_was_billed(utility: Utility) -> None:
    bill = billed(utility)
    (use,) = utility.services.usage.by_customer(
        customer_id=bill.customer_id, today=utility.today, principal=ADMIN
    )
    assert (use.meter_serial, use.meter_id) == ("M1", bill.meter_id)
    assert sum(of.this_year.wh for of in use.months) == 117_000
    assert sum(of.this_year.days for of in use.months) == (bill.period_end - bill.period_start).days
    assert utility.services.usage.of_meter(
        meter_id=bill.meter_id, today=utility.today, principal=ADMIN
    ) == (use,)
