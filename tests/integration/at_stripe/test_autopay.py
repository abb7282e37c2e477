"""Autopay against a Stripe that remembers: charged once, on its day, and never more than is due."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.database.transport import TemporaryDatabaseError
from services.records.entries import NewPayment, NewPlan
from tests.integration.at_stripe.autopay_server import AUTHENTICATION, PROCESSING, AutopayStripe
from tests.integration.at_stripe.autopay_town import AutopayTown, days, due, open_town
from tests.integration.providers.conftest import links
from tests.integration.providers.published import Links
from tests.integration.providers.stand_in import running
from tests.integration.utility import ADMIN

__all__ = ["links"]


@pytest.fixture
def town(links: Links, database: str, tmp_path: Path) -> Iterator[AutopayTown]:
    stripe = AutopayStripe(links)
    with running(stripe.server()) as server:
        made = open_town(database, tmp_path, stripe, server)
        yield made
        assert made.database.check_ledger().problems == ()
        assert server.problems == []
        made.utility.services.close()


def office_payment(town: AutopayTown, bill_id: str, minor: int) -> None:
    """Somebody pays a bill at the office."""
    row = {"id": str(uuid4()), "bill_id": bill_id, "amount_minor": minor, "currency": "INR"}
    row |= {"method": "cash", "reference": "", "received_at": town.utility.now}
    row |= {"received_on": town.utility.today}
    payment = NewPayment.model_validate(row)
    town.database.record_payments(actor=ADMIN.user, payments=[payment])


def test_a_bill_is_announced_and_charged_on_its_due_date_once(town: AutopayTown) -> None:
    customer = town.customer("M1")
    mandate = town.sign_up(customer)
    assert (mandate.method, mandate.exp_year) == ("Visa …4242", 2040)
    bill = town.bill("M1")
    assert (bill.spared_because, bill.payment_url) == ("autopay", None)
    document = town.utility.services.bill_archive.document(bill.id)
    assert document.is_left_to_autopay
    town.day(due(bill) - days(8))
    assert town.charge(customer).status == "planned"
    town.day(due(bill) - days(7))
    charge = town.charge(customer)
    assert (charge.status, charge.announced_minor) == ("announced", bill.total_minor)
    town.day(due(bill) - days(1))
    assert town.stripe.asked == []
    town.day(due(bill))
    assert [i["amount"] for i in town.stripe.charged] == [bill.total_minor]
    assert town.charge(customer).status == "paid"
    assert town.deliver() == [200] * 2
    # What is printed is what was so at its issue.
    assert town.utility.services.bill_archive.document(bill.id) == document
    town.day(due(bill) + days(1))
    (payment,) = town.payments(customer)
    assert (payment.amount_minor, payment.method, payment.reference) == (
        bill.total_minor,
        "stripe",
        "Autopay Visa …4242",
    )
    paid = town.database.bill(bill.id)
    assert (paid.status, paid.balance_minor, paid.spared_because) == ("paid", 0, None)
    assert len(town.stripe.asked) == 1
    # No reminder beside the notice, and the thanks as for any payment.
    assert town.kinds(bill.id) == ["bill_issued", "autopay_notice", "payment_received"]


def test_the_webhook_may_be_first_and_counts_once(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    town.go_to(due(bill))
    town.stripe.lose_answers = 1
    town.run()
    assert town.charge(customer).status == "charging"
    assert town.payments(customer) == []
    town.deliver()
    assert [p.amount_minor for p in town.payments(customer)] == [bill.total_minor]
    town.take_up()
    assert len(town.payments(customer)) == 1
    assert town.charge(customer).status == "paid"
    assert len(town.stripe.asked) == 1


def test_a_lost_answer_is_looked_up_before_anything_is_asked_again(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    town.go_to(due(bill))
    town.stripe.lose_answers = 1
    town.run()
    # A day later Stripe has forgotten the idempotency key.
    town.stripe.forget_keys()
    town.stripe.lose()
    town.day(due(bill) + days(1))
    assert town.take_up() == 1
    assert len(town.stripe.asked) == 1
    assert [p.amount_minor for p in town.payments(customer)] == [bill.total_minor]
    assert town.database.bill(bill.id).status == "paid"


def test_a_crash_between_the_answer_and_our_store_charges_nothing_twice(
    town: AutopayTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = town.customer("M1")
    town.sign_up(customer)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    town.go_to(due(bill))

    def killed(**_: Any) -> None:
        raise TemporaryDatabaseError("08006", "killed")

    with monkeypatch.context() as patch:
        patch.setattr(town.database.autopay, "end_attempts", killed)
        with pytest.raises(TemporaryDatabaseError):
            town.run()
    assert len(town.stripe.charged) == 1
    town.stripe.forget_keys()
    town.run()
    assert town.take_up() == 1
    assert len(town.stripe.asked) == 1
    assert town.database.bill(bill.id).status == "paid"


def test_killed_before_stripe_was_asked_it_is_asked_once(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    town.go_to(due(bill))
    begun, _ = town.database.autopay.begin(
        actor="test",
        run=town.ref(),
        today=town.utility.today,
        limit=10,
        owner="killed",
        lease_seconds=600,
        outbox=town.plans(),
    )
    assert len(begun) == 1
    assert town.take_up() == 1
    assert len(town.stripe.charged) == 1
    assert town.database.bill(bill.id).status == "paid"


def test_paid_otherwise_meanwhile_nothing_is_charged(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    town.go_to(due(bill))
    town.database.autopay.begin(
        actor="test",
        run=town.ref(),
        today=town.utility.today,
        limit=10,
        owner="killed",
        lease_seconds=600,
        outbox=town.plans(),
    )
    office_payment(town, bill.id, bill.total_minor)
    town.take_up()
    town.run()
    assert town.stripe.asked == []
    charge = town.charge(customer)
    assert (charge.status, charge.code) == ("dropped", "nothing_due")


def test_what_was_paid_in_part_is_charged_in_part(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    office_payment(town, bill.id, 10_000)
    town.day(due(bill))
    assert [i["amount"] for i in town.stripe.charged] == [bill.total_minor - 10_000]
    assert town.database.bill(bill.id).status == "paid"


def test_a_soft_decline_is_tried_again_by_the_policy_and_then_autopay_pauses(
    town: AutopayTown,
) -> None:
    customer = town.customer("M1")
    town.sign_up(customer, card="insufficient_funds")
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    for day in range(10):
        town.day(due(bill) + days(day))
        town.deliver()
    # On the day, three and seven days later.
    assert len(town.stripe.asked) == 3
    state = town.state(customer)
    assert state.mandate is not None
    assert state.mandate.status == "paused"
    assert state.charges[0].status == "failed"
    after = town.database.bill(bill.id)
    assert (after.status, after.spared_because) == ("overdue", None)
    assert town.kinds(bill.id) == [
        "bill_issued",
        "autopay_notice",
        *["autopay_failed"] * 3,
        "overdue_notice",
    ]


def test_a_hard_decline_is_not_tried_again(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer, card="expired_card")
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    for day in range(9):
        town.day(due(bill) + days(day))
    assert len(town.stripe.asked) == 1
    charge = town.charge(customer)
    assert (charge.status, charge.code) == ("failed", "expired_card")


def test_the_bank_may_want_a_confirmation(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer, card=AUTHENTICATION)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    town.day(due(bill))
    town.deliver()
    attempt = town.charge(customer).confirm_id
    assert attempt is not None
    url = town.utility.services.autopay.charging.confirm(
        attempt_id=attempt,
        customer_id=customer,
        return_url="https://bills.example/my/autopay",
        now=town.utility.now,
    )
    (intent,) = town.stripe.intents
    assert url.endswith(intent)
    town.stripe.confirm_at_bank(intent)
    town.deliver()
    assert town.database.bill(bill.id).status == "paid"
    assert len(town.payments(customer)) == 1


def test_what_nobody_confirms_is_called_off_and_never_paid_late(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer, card=AUTHENTICATION)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    town.day(due(bill))
    town.take_up()
    assert [i["status"] for i in town.stripe.intents.values()] == ["canceled"]
    charge = town.charge(customer)
    assert (charge.status, charge.code) == ("waiting", "not_confirmed")


def test_a_bank_debit_counts_when_the_bank_says_so(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer, card=PROCESSING)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    for day in range(4):
        town.day(due(bill) + days(day))
        town.deliver()
    assert town.payments(customer) == []
    # Nobody is pressed while the bank is at it.
    assert town.database.bill(bill.id).overdue_since is None
    (intent,) = town.stripe.intents
    town.stripe.bank_ends(intent)
    town.deliver()
    assert town.database.bill(bill.id).status == "paid"


def test_bills_due_on_one_day_are_one_charge_and_each_is_paid(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.second_meter("M2", of="M1")
    town.sign_up(customer)
    bills = [town.bill("M1"), town.bill("M2", 1050)]
    assert len({due(bill) for bill in bills}) == 1
    town.day(due(bills[0]) - days(7))
    assert town.charge(customer).announced_minor == sum(bill.total_minor for bill in bills)
    town.day(due(bills[0]))
    assert [i["amount"] for i in town.stripe.charged] == [sum(bill.total_minor for bill in bills)]
    assert {town.database.bill(bill.id).status for bill in bills} == {"paid"}


def test_a_bill_that_joins_after_the_notice_is_announced_too(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.second_meter("M2", of="M1")
    town.sign_up(customer)
    first = town.bill("M1")
    town.run()
    town.sql(
        "update public.autopay_charges set status = 'announced', announced_minor = %s, "
        "announced_on = current_date",
        first.total_minor,
    )
    second = town.bill("M2", 1050)
    assert town.charge(customer).status == "planned"
    town.day(due(first) - days(6))
    town.day(due(first))
    assert town.stripe.asked == []
    town.day(due(first) + days(1))
    assert [i["amount"] for i in town.stripe.charged] == [first.total_minor + second.total_minor]


def test_more_than_the_limit_is_never_charged(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer, limit=50_000)
    bill = town.bill("M1")
    assert bill.total_minor > 50_000
    # It comes as any bill does, with its link.
    assert bill.spared_because is None
    assert bill.payment_url is not None
    town.day(due(bill) - days(7))
    town.day(due(bill))
    assert town.stripe.asked == []


def test_an_account_on_hold_is_not_charged(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    hold = town.utility.services.dunning_holds.hold(
        hold_id=str(uuid4()),
        customer_id=customer,
        reason="dispute",
        note="Says it was read wrong",
        principal=ADMIN,
        now=town.utility.now,
    )
    town.day(due(bill))
    assert town.stripe.asked == []
    assert town.charge(customer).status == "planned"
    town.utility.services.dunning_holds.release(
        hold_id=hold.id, because="It was right", principal=ADMIN
    )
    # Another notice first, with all its days.
    town.day(due(bill) + days(1))
    assert town.stripe.asked == []
    town.day(due(bill) + days(8))
    assert len(town.stripe.charged) == 1


def test_ended_it_charges_nothing_and_the_card_is_forgotten(town: AutopayTown) -> None:
    customer = town.customer("M1")
    mandate = town.sign_up(customer)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    town.utility.services.autopay.sign_up.end(
        mandate_id=mandate.id, customer_id=customer, actor="customer:A-M1", because="Enough"
    )
    assert [m["customer"] for m in town.stripe.methods.values()] == [None]
    town.day(due(bill))
    assert town.stripe.asked == []
    after = town.state(customer)
    assert after.mandate is not None
    assert (after.mandate.status, after.mandate.ended_by) == ("ended", "customer:A-M1")
    assert after.mandate.detached_at is not None
    assert town.database.bill(bill.id).spared_because is None
    assert "autopay_ended" in town.kinds(bill.id)


def test_another_card_takes_the_place_of_the_first(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    town.sign_up(customer)
    town.take_up()
    assert [m["customer"] is None for m in town.stripe.methods.values()] == [True, False]
    town.day(due(bill))
    # The new card's own notice has its days.
    assert town.stripe.asked == []
    town.day(due(bill) + days(7))
    assert len(town.stripe.charged) == 1
    assert town.database.bill(bill.id).status == "paid"


def test_two_runs_at_once_charge_once(town: AutopayTown) -> None:
    customers = [town.customer(f"M{n}") for n in range(4)]
    bills = []
    for number, customer in enumerate(customers):
        town.sign_up(customer)
        bills.append(town.bill(f"M{number}"))
    town.day(due(bills[0]) - days(7))
    town.go_to(due(bills[0]))

    def begin(_: int) -> int:
        found, _after = town.database.autopay.begin(
            actor="test",
            run=None,
            today=town.utility.today,
            limit=10,
            owner="one",
            lease_seconds=600,
            outbox=town.plans(),
        )
        town.utility.services.autopay.charging.charge_all(found, now=town.utility.now)
        return len(found)

    with ThreadPoolExecutor(3) as threads:
        assert sum(threads.map(begin, range(3))) == 4
    assert len(town.stripe.asked) == 4
    assert {town.database.bill(bill.id).status for bill in bills} == {"paid"}


def test_a_card_that_expires_is_told_of_once(town: AutopayTown) -> None:
    customer = town.customer("M1")
    today = town.utility.today
    month = (today.replace(day=1) + days(40)).strftime("%Y-%m")
    town.sign_up(customer, expires=f"{today:%Y-%m}")
    bill = town.bill("M1")
    for day in range(3):
        town.day(today + days(day))
    assert town.kinds(bill.id).count("autopay_expiring") == 1
    mandate = town.state(customer).mandate
    assert mandate is not None
    method = town.stripe.methods[str(mandate.payment_method)]
    year, _, number = month.partition("-")
    method["card"] |= {"exp_year": int(year) + 3, "exp_month": int(number)}
    town.stripe.happened("payment_method.automatically_updated", method)
    town.deliver()
    renewed = town.state(customer).mandate
    assert renewed is not None
    assert renewed.exp_year == int(year) + 3


def test_a_setup_that_the_webhook_tells_of_needs_no_customer_to_come_back(
    town: AutopayTown,
) -> None:
    customer = town.customer("M1")
    sign_up = town.utility.services.autopay.sign_up
    mandate_id = str(uuid4())
    url = sign_up.begin(
        mandate_id=mandate_id,
        customer_id=customer,
        currency="INR",
        consent="I agree.",
        limit_minor=None,
        actor="customer:test",
        now=town.utility.now,
    )
    town.stripe.save_card(url.rpartition("/")[2])
    town.deliver()
    waiting = town.state(customer).mandate
    assert waiting is not None
    assert waiting.status == "confirming"
    town.take_up()
    active = town.state(customer).mandate
    assert active is not None
    assert (active.id, active.status) == (mandate_id, "active")


def test_a_charge_that_the_bank_disputes_pauses_autopay(town: AutopayTown) -> None:
    customer = town.customer("M1")
    mandate = town.sign_up(customer)
    bill = town.bill("M1")
    town.day(due(bill) - days(7))
    town.day(due(bill))
    (intent,) = town.stripe.charged
    dispute = {"id": "dp_1", "payment_intent": intent["id"], "amount": intent["amount"]}
    dispute |= {"currency": "inr", "status": "needs_response", "reason": "fraudulent"}
    town.stripe.happened("charge.dispute.created", dispute)
    town.deliver()
    paused = town.state(customer).mandate
    assert paused is not None
    assert (paused.status, paused.paused_because) == (
        "paused",
        "The customer's bank disputes a charge.",
    )
    resumed = town.utility.services.autopay.sign_up.resume(
        mandate_id=mandate.id, customer_id=customer, actor="customer:A-M1", now=town.utility.now
    )
    assert resumed.status == "active"


def test_a_bill_in_an_instalment_plan_is_never_charged(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer)
    bill = town.bill("M1")
    today = town.utility.today
    parts = [{"due_on": today + days(20), "amount_minor": bill.total_minor - 20_000}]
    parts.append({"due_on": today + days(40), "amount_minor": 20_000})
    plan: dict[str, Any] = {"id": str(uuid4()), "customer_id": customer, "currency": "INR"}
    plan |= {"bills": [bill.id], "instalments": parts, "on": today}
    town.database.agree_plan(actor=ADMIN.user, plan=NewPlan.model_validate(plan))
    for day in range(-7, 3):
        town.day(due(bill) + days(day))
    assert town.stripe.asked == []
