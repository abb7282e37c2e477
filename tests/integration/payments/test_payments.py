"""A payment at Stripe is counted once, in the right account, and what is odd about it is said."""

from pathlib import Path
from uuid import uuid4

import pytest

from services.outbox.outbox import StepDone
from services.records.bills import Bill
from services.records.readings import Read
from tests.integration.payments.office import Office, open_office
from tests.integration.payments.told import Json, completed, event, metadata_of, session
from tests.integration.test_bill_states import draft_of
from tests.integration.utility import ADMIN
from tests.servers import NewDatabase

UNKNOWN_BILL = "7f0c9a64-3c1c-4a56-9a4f-5a0f2b0f6f11"


def test_a_paid_link_pays_its_bill_once_whatever_comes_again(office: Office) -> None:
    bill = office.bill()
    first = office.tell(paid := completed(bill, "pi_once"))
    assert (first.outcome, first.replay, office.flags(first)) == ("applied", False, {})
    assert office.now(bill).status == "paid"
    assert office.tell(paid).replay
    other = event("checkout.session.async_payment_succeeded", session(bill, "pi_once", 54_035))
    again = office.tell(other)
    assert (again.outcome, again.detail) == ("applied", "Counted already.")
    assert again.payment_id == first.payment_id
    assert office.balance(bill.customer_id) == 0
    payment = office.utility.services.database.payment(str(first.payment_id))
    assert (payment.method, payment.provider_id, payment.status) == ("stripe", "pi_once", "applied")
    assert payment.recorded_by == "system:stripe"


def test_thanks_and_a_new_link_are_owed_in_the_same_transaction(
    fresh_database: NewDatabase, tmp_path: Path
) -> None:
    done = {step: lambda **_: StepDone("done") for step in (9, 10, 11, 12, 13)}
    office = open_office(fresh_database(), tmp_path, step_handlers=done)
    bill = office.bill()
    answer = office.tell(completed(bill, "pi_owed"))
    outbox = office.utility.services.database.outbox_of(bill.id)
    by_kind = {row.kind: row for row in outbox}
    assert by_kind["payment_received"].occasion == answer.payment_id
    assert {row.status for row in outbox if row.kind != "bill_issued"} == {"open"}
    assert set(by_kind) == {"bill_issued", "payment_received", "balance_changed"}
    office.tell(completed(bill, "pi_owed", 54_035))
    assert len(office.utility.services.database.outbox_of(bill.id)) == 3
    office.utility.services.close()


@pytest.mark.parametrize(
    ("amount", "status", "balance", "says"),
    [(54_034, "partially_paid", 1, "Less came"), (54_036, "paid", -1, "More came")],
)
def test_another_amount_is_counted_and_flagged(
    office: Office, amount: int, status: str, balance: int, says: str
) -> None:
    bill = office.bill()
    answer = office.tell(completed(bill, f"pi_{amount}", amount))
    assert office.now(bill).status == status
    assert office.balance(bill.customer_id) == balance
    assert set(flags := office.flags(answer)) == {"amount_differs"}
    assert says in flags["amount_differs"]
    assert "link" not in flags["amount_differs"]


def test_the_amount_of_an_old_link_is_said_to_be_it(office: Office) -> None:
    bill = office.bill()
    office.tell(completed(bill, "pi_part", 40_000, metadata=metadata_of(bill)))
    answer = office.tell(completed(bill, "pi_old", 54_035))
    assert "what the link asked for" in office.flags(answer)["amount_differs"]
    assert office.balance(bill.customer_id) == -40_000


def test_a_bill_paid_twice_leaves_a_credit_that_is_flagged(office: Office) -> None:
    bill = office.bill()
    office.tell(completed(bill, "pi_first"))
    second = office.tell(completed(bill, "pi_second", 54_035))
    assert set(office.flags(second)) == {"already_paid"}
    assert office.balance(bill.customer_id) == -54_035
    assert office.now(bill).amount_paid_minor == 54_035


@pytest.mark.parametrize("metadata", [{}, {"bill_id": UNKNOWN_BILL}, {"bill_id": "7"}])
def test_a_payment_of_nobody_known_is_kept_until_somebody_says_whose_it_is(
    office: Office, metadata: Json
) -> None:
    intent = f"pi_{uuid4().hex}"
    answer = office.tell(completed(None, intent, 54_035, metadata=metadata))
    assert set(flags := office.flags(answer)) == {"unknown_bill"}
    assert (UNKNOWN_BILL in flags["unknown_bill"]) == (UNKNOWN_BILL in metadata.values())
    database = office.utility.services.database
    assert database.payment(str(answer.payment_id)).status == "unidentified"
    bill = office.bill()
    database.assign_payment(
        actor=ADMIN.user, payment_id=str(answer.payment_id), customer_id=bill.customer_id
    )
    assert (office.now(bill).status, office.flags(answer)) == ("paid", {})


def test_a_link_of_ours_names_its_bill_where_the_metadata_is_gone(office: Office) -> None:
    bill = office.bill()
    link: Json = {"link_id": "plink_ours", "bill_id": bill.id, "url": "https://pay.example/1"}
    link |= {"amount_minor": 54_035, "currency": "INR"}
    assert office.utility.services.database.save_payment_link(actor=ADMIN.user, **link)
    raw = completed(None, "pi_by_link", 54_035, payment_link="plink_ours")
    assert office.flags(office.tell(raw)) == {}
    assert office.now(bill).status == "paid"


def test_another_currency_is_on_an_account_of_its_own_and_pays_no_bill(office: Office) -> None:
    bill = office.bill()
    answer = office.tell(completed(bill, "pi_usd", 54_035, currency="usd"))
    assert set(office.flags(answer)) == {"currency_differs"}
    assert (office.now(bill).status, office.balance(bill.customer_id)) == ("issued", 54_035)
    (entry,) = [
        e
        for e in office.utility.services.database.ledger(customer_id=bill.customer_id).items
        if e.kind == "payment"
    ]
    assert (entry.currency, entry.balance_minor) == ("USD", -54_035)


def reissue(office: Office, bill: Bill) -> Bill:
    """Issue a void bill's reading again."""
    services, now = office.utility.services, office.utility.now
    read = services.database.reading(bill.closing_reading_id)
    closing = Read(
        id=read.id,
        meter_id=read.meter_id,
        read_at=read.read_at,
        read_on=office.utility.today,
        register_wh=read.register_wh,
    )
    context = services.database.reading_context(
        meter_serial=bill.meter_serial, read_at=closing.read_at, read_on=closing.read_on
    )
    drawn_up = services.issuer.bills_up_to(context=context, closing=closing, now=now)[-1]
    assert services.database.store_job_bills(actor=ADMIN.user, bills=[drawn_up]) == (1, [])
    return services.database.bill(drawn_up.id)


@pytest.mark.parametrize("reissued_first", [True, False])
def test_money_for_a_void_bill_pays_the_one_issued_in_its_place(
    office: Office, reissued_first: bool
) -> None:
    bill = office.bill()
    office.utility.services.database.void_bill(
        actor=ADMIN.user, bill_id=bill.id, reason="a slip of the pen"
    )
    again = reissue(office, bill) if reissued_first else None
    answer = office.tell(completed(bill, f"pi_void_{reissued_first}", 54_035))
    assert set(office.flags(answer)) == {"bill_void"}
    assert office.balance(bill.customer_id) == (0 if reissued_first else -54_035)
    again = again or reissue(office, bill)
    assert [office.now(b).amount_paid_minor for b in (bill, again)] == [0, 54_035]
    assert office.balance(bill.customer_id) == 0


def test_money_for_a_draft_waits_on_the_account(office: Office) -> None:
    office.utility.add_meter("DRAFT-1")
    draft = draft_of(office.utility, "DRAFT-1", 1117)
    bill = office.utility.services.database.bill(draft)
    answer = office.tell(completed(bill, "pi_draft", 54_035))
    assert set(office.flags(answer)) == {"bill_not_issued"}
    assert office.balance(bill.customer_id) == -54_035


def test_what_brings_no_money_is_noted_and_changes_nothing(office: Office) -> None:
    bill = office.bill()
    awaited = completed(bill, "pi_late", payment_status="unpaid")
    failed = session(bill, "pi_late", payment_status="unpaid")
    expired = session(bill, None, payment_status="unpaid")
    for raw in (
        awaited,
        event("checkout.session.async_payment_failed", failed),
        event("checkout.session.expired", expired),
        event("invoice.paid", {"id": "in_1", "object": "invoice"}),
        event("charge.refunded", {"id": "ch_1"}),
    ):
        answer = office.tell(raw)
        assert answer.outcome in {"applied", "kept"}
        assert answer.detail
        assert answer.payment_id is None
    assert office.balance(bill.customer_id) == 54_035
