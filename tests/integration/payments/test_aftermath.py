"""What happens after a payment came: refunds, refunds that fail, disputes; in whatever order."""

from collections.abc import Callable
from itertools import permutations
from typing import Final
from uuid import uuid4

import pytest

from services.records.bills import Bill
from services.records.entries import NewReturn
from services.records.reconciliation import AppliedEvent
from tests.integration.payments.office import Office
from tests.integration.payments.told import (
    Json,
    completed,
    dispute,
    event,
    refund_failed,
    refunded,
)

TOTAL: Final = 54_035


def paid(office: Office, intent: str) -> tuple[Bill, AppliedEvent]:
    """A bill that was paid by its link, with the answer to its event."""
    bill = office.bill()
    return bill, office.tell(completed(bill, intent))


def test_a_refund_made_at_stripe_opens_the_bill_again(office: Office) -> None:
    bill, payment = paid(office, "pi_back")
    for raw in (refunded("pi_back", 10_000, at=1), refunded("pi_back", 10_000, at=2)):
        assert office.tell(raw).payment_id == payment.payment_id
    assert office.balance(bill.customer_id) == 10_000
    office.tell(refunded("pi_back", TOTAL, at=3))
    assert office.returns(payment) == [("refund", 10_000, "done"), ("refund", 44_035, "done")]
    assert office.now(bill).status == "issued"
    # The total only grows; an older one that comes late says nothing new.
    office.tell(refunded("pi_back", 30_000, at=2))
    assert office.balance(bill.customer_id) == TOTAL


def test_a_refund_that_we_asked_for_is_counted_once_whoever_tells_first(office: Office) -> None:
    bill, payment = paid(office, "pi_ours")
    told_first = office.ask_refund(payment, 10_000)
    office.tell(refunded("pi_ours", 10_000, at=1))
    assert office.end_refund(told_first, "done", "re_first").provider_id == "re_first"
    answered_first = office.ask_refund(payment, 5_000)
    office.end_refund(answered_first, "done", "re_second")
    office.tell(refunded("pi_ours", 15_000, at=2))
    assert office.returns(payment) == [("refund", 5_000, "done"), ("refund", 10_000, "done")]
    assert office.balance(bill.customer_id) == 15_000


def test_of_those_asked_for_the_one_of_just_the_amount_is_done_and_the_rest_was_made_there(
    office: Office,
) -> None:
    bill, payment = paid(office, "pi_many")
    for minor in (1_000, 7_000, 50_000 - 8_000):
        office.ask_refund(payment, minor)
    office.tell(refunded("pi_many", 7_000, at=1))
    assert office.balance(bill.customer_id) == 7_000
    office.tell(refunded("pi_many", 9_000, at=2))
    assert office.returns(payment) == [
        ("refund", 1_000, "done"),
        ("refund", 1_000, "done"),
        ("refund", 7_000, "done"),
        ("refund", 42_000, "pending"),
    ]


def test_more_back_than_came_is_counted_and_flagged(office: Office) -> None:
    bill, payment = paid(office, "pi_twice_back")
    office.utility.services.database.record_return(
        actor="admin", entry=NewReturn.model_validate(by_hand(office, payment, 50_000))
    )
    office.tell(refunded("pi_twice_back", TOTAL, at=1))
    assert office.balance(bill.customer_id) == 50_000 + TOTAL
    assert office.flags(payment) == {"amount_differs": "More went back than came."}


def by_hand(office: Office, payment: AppliedEvent, minor: int) -> Json:
    row: Json = {
        "id": str(uuid4()),
        "payment_id": payment.payment_id,
        "kind": "refund",
        "method": "cash",
    }
    row |= {"amount_minor": minor, "on_date": office.utility.today, "reason": "asked for it"}
    return row


def test_a_refund_of_a_payment_of_nobody_known_is_stored(office: Office) -> None:
    payment = office.tell(completed(None, "pi_nobody", 5_000))
    office.tell(refunded("pi_nobody", 2_000, at=1))
    assert office.returns(payment) == [("refund", 2_000, "done")]


def test_a_refund_in_another_currency_is_left_to_a_person(office: Office) -> None:
    bill, payment = paid(office, "pi_eur")
    answer = office.tell(refunded("pi_eur", 100, at=1, currency="eur"))
    assert (answer.outcome, office.returns(payment)) == ("kept", [])
    assert office.balance(bill.customer_id) == 0


def test_a_refund_that_failed_is_undone_once_by_its_id_or_by_its_amount(office: Office) -> None:
    bill, payment = paid(office, "pi_fail")
    ours = office.ask_refund(payment, 10_000)
    office.end_refund(ours, "done", "re_ours")
    for total, at in ((10_000, 1), (20_000, 2), (25_000, 3)):
        office.tell(refunded("pi_fail", total, at=at))
    office.tell(refund_failed("pi_fail", "re_ours", 10_000, at=4))
    assert office.balance(bill.customer_id) == 15_000
    # Told once as each of two types, for one of the two that were made at Stripe.
    for kind in ("refund.failed", "charge.refund.updated"):
        office.tell(refund_failed("pi_fail", "re_theirs", 10_000, at=5, kind=kind))
    assert office.returns(payment) == [
        ("refund", 5_000, "done"),
        ("refund", 10_000, "undone"),
        ("refund", 10_000, "undone"),
    ]
    assert office.balance(bill.customer_id) == 5_000


def test_a_refund_that_failed_before_it_was_counted_never_is(office: Office) -> None:
    bill, payment = paid(office, "pi_fail_early")
    ours = office.ask_refund(payment, 10_000)
    office.end_refund(ours, "failed", "re_early")
    office.tell(refund_failed("pi_fail_early", "re_early", 10_000, at=2))
    office.tell(refunded("pi_fail_early", 10_000, at=1))
    assert office.returns(payment) == [("refund", 10_000, "failed")]
    assert office.balance(bill.customer_id) == 0


def test_a_dispute_flags_the_payment_takes_the_money_and_gives_it_back(office: Office) -> None:
    bill, payment = paid(office, "pi_dispute")
    office.tell(dispute("created", "pi_dispute", TOTAL, at=1))
    assert "fraudulent" in office.flags(payment)["disputed"]
    assert office.balance(bill.customer_id) == 0
    office.tell(dispute("funds_withdrawn", "pi_dispute", TOTAL, at=2))
    assert office.balance(bill.customer_id) == TOTAL
    office.tell(dispute("funds_reinstated", "pi_dispute", TOTAL, at=3))
    office.tell(dispute("closed", "pi_dispute", TOTAL, at=4, status="won"))
    assert (office.balance(bill.customer_id), office.flags(payment)) == (0, {})
    (flag,) = office.utility.services.database.payment_flags(payment_id=str(payment.payment_id))
    assert flag.resolution == "The dispute ended in our favour."
    again = office.tell(dispute("funds_withdrawn", "pi_dispute", TOTAL, at=5))
    assert again.outcome == "applied"
    assert "by hand" in office.flags(payment)["disputed"]


def test_a_dispute_that_is_lost_stays_flagged(office: Office) -> None:
    bill, payment = paid(office, "pi_lost")
    for what in ("created", "funds_withdrawn"):
        office.tell(dispute(what, "pi_lost", TOTAL, at=1))
    office.tell(dispute("closed", "pi_lost", TOTAL, at=2, status="lost"))
    assert "lost" in office.flags(payment)["disputed"]
    assert office.returns(payment) == [("dispute", TOTAL, "done")]
    assert office.now(bill).status == "issued"


def test_a_dispute_won_leaves_the_flag_while_another_goes_on(office: Office) -> None:
    _, payment = paid(office, "pi_two")
    for name in ("dp_1", "dp_2"):
        office.tell(dispute("created", "pi_two", 100, at=1, id=name))
    office.tell(dispute("closed", "pi_two", 100, at=2, id="dp_1", status="won"))
    assert "disputed" in office.flags(payment)
    office.tell(dispute("closed", "pi_two", 100, at=2, id="dp_2", status="won"))
    assert office.flags(payment) == {}


def of_refunds(intent: str) -> list[Json]:
    """300 go back, then 200 more, of which the 300 fail, then 50 more."""
    return [
        refunded(intent, 300, at=1),
        refunded(intent, 500, at=2),
        refund_failed(intent, f"re_{intent}", 300, at=3),
        refunded(intent, 250, at=4),
    ]


def of_dispute(intent: str) -> list[Json]:
    """A dispute that is won."""
    return [
        dispute("created", intent, TOTAL, at=1),
        dispute("funds_withdrawn", intent, TOTAL, at=2),
        dispute("funds_reinstated", intent, TOTAL, at=3),
        dispute("closed", intent, TOTAL, at=4, status="won"),
    ]


def of_both(intent: str) -> list[Json]:
    """A refund, and a dispute about the rest."""
    return [
        refunded(intent, 4_035, at=1),
        dispute("created", intent, 50_000, at=2),
        dispute("funds_withdrawn", intent, 50_000, at=3),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("story", "owes", "flagged"),
    [(of_refunds, 250, set()), (of_dispute, 0, set()), (of_both, TOTAL, {"disputed"})],
)
def test_every_order_of_the_events_ends_the_same(
    office: Office, story: Callable[[str], list[Json]], owes: int, flagged: set[str]
) -> None:
    for number, order in enumerate(permutations(range(len(story("")) + 1))):
        # What waits for its payment is tried with the two others.
        if story is of_dispute and order[0] != 0:
            continue
        bill = office.bill()
        intent = f"pi_{story.__name__}_{number}"
        events = [completed(bill, intent), *story(intent)]
        office.tell(*(events[place] for place in order))
        payment = office.tell(events[0])
        assert office.balance(bill.customer_id) == owes, order
        assert office.now(bill).amount_paid_minor == TOTAL - owes, order
        assert set(office.flags(payment)) == flagged, order
        told = office.utility.services.database.stripe_events(payment_id=payment.payment_id)
        assert [e.outcome for e in told.items] == ["applied"] * len(events), order


def test_what_waits_says_for_what(office: Office) -> None:
    answer = office.tell(refunded("pi_later", 100, at=1))
    assert (answer.outcome, answer.detail) == ("waiting", "Waits for its payment.")
    assert office.tell(event("charge.refunded", {})).outcome == "kept"
    bill = office.bill()
    payment = office.tell(completed(bill, "pi_later"))
    assert office.returns(payment) == [("refund", 100, "done")]
    early = office.tell(dispute("funds_reinstated", "pi_later", 100, at=3))
    assert early.detail == "Waits for an earlier event of its payment."
