"""Autopay of bills that change after they were announced, or while the bank is at their charge.

Void or corrected, paid by credit or another way, put into a plan, disputed, refunded.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.corrections.plan import WrongReading
from services.records.bills import Bill
from services.records.entries import NewPlan
from tests.integration.at_stripe.autopay_server import OK, PROCESSING, AutopayStripe
from tests.integration.at_stripe.autopay_town import AutopayTown, days, due, open_town
from tests.integration.at_stripe.test_autopay import office_payment
from tests.integration.correcting import Correcting
from tests.integration.providers.conftest import links
from tests.integration.providers.published import Links
from tests.integration.providers.stand_in import running
from tests.integration.utility import ADMIN

__all__ = ["links"]

LARGER, SMALLER = "1150", "1090"


@pytest.fixture
def town(links: Links, database: str, tmp_path: Path) -> Iterator[AutopayTown]:
    stripe = AutopayStripe(links)
    with running(stripe.server()) as server:
        made = open_town(database, tmp_path, stripe, server)
        yield made
        assert made.database.check_ledger().problems == ()
        assert server.problems == []
        made.utility.services.close()


def corrected(town: AutopayTown, bill: Bill, kwh: str) -> Bill:
    """The bill in the place of one whose closing read was another."""
    wrong = WrongReading(bill.id, bill.closing_reading_id, kwh)
    done = Correcting(town.utility).execute(wrong)
    (new,) = [one.new_bill_id for one in done.bills]
    assert new is not None
    return town.database.bill(new)


def void(town: AutopayTown, bill: Bill) -> None:
    """A bill that should never have been."""
    town.utility.services.rebilling.void(
        bill_id=bill.id, reason="Another's meter", principal=ADMIN, now=town.utility.now
    )


def credit(town: AutopayTown, customer: str, amount: str) -> None:
    """The office gives a credit."""
    town.utility.services.account_adjustments.adjust(
        entry_id=str(uuid4()),
        customer_id=customer,
        body={"kind": "credit", "amount": amount, "note": "Goodwill"},
        principal=ADMIN,
        now=town.utility.now,
    )


def balance(town: AutopayTown, customer: str) -> int:
    """What a customer owes in all; below 0: has paid ahead."""
    return town.database.account(customer).balance_minor


def asked(town: AutopayTown) -> list[int]:
    """What Stripe was asked to charge, in order."""
    return [intent["amount"] for intent in town.stripe.asked]


def flags(town: AutopayTown) -> list[str]:
    """Why payments wait for a person."""
    rows = town.sql("select reason from public.payment_flags where resolved_at is null order by 1")
    return [str(row[0]) for row in rows]


def under_way(town: AutopayTown) -> tuple[str, Bill, dict[str, Any]]:
    """A debit that the bank is at; the customer, the bill and Stripe's payment."""
    customer, bill = town.announced(card=PROCESSING)
    town.until(due(bill))
    (intent,) = town.stripe.asked
    return customer, bill, intent


def pays_from_now(town: AutopayTown) -> None:
    """What is charged from now on comes at once."""
    town.stripe.cards.update(dict.fromkeys(town.stripe.cards, OK))


# -- between the notice and the charge ---------------------------------------------------------


def test_void_before_its_day_nothing_is_charged(town: AutopayTown) -> None:
    customer, bill = town.announced()
    void(town, bill)
    charge = town.charge(customer)
    assert (charge.status, charge.code, charge.detail) == ("dropped", "void", "The bill is void.")
    town.until(due(bill) + days(1))
    assert asked(town) == []


@pytest.mark.parametrize("kwh", [LARGER, SMALLER])
def test_corrected_before_its_day_the_bill_in_its_place_is_announced_and_charged(
    town: AutopayTown, kwh: str
) -> None:
    customer, bill = town.announced()
    town.until(due(bill) - days(5))
    new = corrected(town, bill, kwh)
    assert new.spared_because == "autopay"
    statuses = {c.bill_id: c.status for c in town.state(customer).charges}
    assert statuses == {bill.id: "dropped", new.id: "planned"}
    town.until(due(new) - days(1))
    assert asked(town) == []
    assert town.kinds(new.id).count("autopay_notice") == 1
    town.until(due(new))
    assert asked(town) == [new.total_minor]
    assert town.database.bill(new.id).status == "paid"
    assert balance(town, customer) == 0


def test_part_paid_and_corrected_only_what_is_left_is_charged(town: AutopayTown) -> None:
    customer, bill = town.announced()
    office_payment(town, bill.id, 10_000)
    new = corrected(town, bill, SMALLER)
    town.until(due(new))
    assert asked(town) == [new.total_minor - 10_000]
    assert balance(town, customer) == 0


@pytest.mark.parametrize("amount", ["100", "540.35", "600"])
def test_credit_pays_first(town: AutopayTown, amount: str) -> None:
    customer, bill = town.announced()
    credit(town, customer, amount)
    town.until(due(bill) + days(1))
    given = round(float(amount) * 100)
    left = max(0, bill.total_minor - given)
    assert asked(town) == ([left] if left else [])
    assert town.database.bill(bill.id).status == "paid"
    assert balance(town, customer) == min(0, bill.total_minor - given)
    assert town.charge(customer).status == ("paid" if left else "dropped")


def test_credit_that_was_there_before_the_bill_is_not_charged(town: AutopayTown) -> None:
    customer = town.customer("M1")
    credit(town, customer, "40.35")
    town.sign_up(customer)
    bill = town.bill("M1")
    town.until(due(bill))
    assert asked(town) == [bill.total_minor - 4_035]
    assert town.charge(customer).announced_minor == bill.total_minor - 4_035


def test_paid_another_way_nobody_is_told_that_nothing_will_be_charged(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.sign_up(customer)
    bill = town.bill("M1")
    # Announced, but the message has not left yet.
    town.go_to(due(bill) - days(7))
    town.run()
    office_payment(town, bill.id, bill.total_minor)
    charge = town.charge(customer)
    assert (charge.status, charge.amount_minor) == ("announced", 0)
    notice = next(w for w in town.database.outbox_of(bill.id) if w.kind == "autopay_notice")
    assert town.database.why_unsaid(
        bill_id=bill.id,
        customer_id=customer,
        kind="autopay_notice",
        occasion=notice.occasion,
        today=town.utility.today,
    )
    town.until(due(bill))
    charge = town.charge(customer)
    assert (charge.status, charge.code) == ("dropped", "nothing_due")
    # What was announced, not ₹0.00.
    assert charge.amount_minor == bill.total_minor
    assert asked(town) == []


def in_two_parts(town: AutopayTown, bill: Bill) -> None:
    """The customer is to pay a bill in two parts."""
    today = town.utility.today
    half = bill.balance_minor // 2
    parts = [{"due_on": today + days(30), "amount_minor": half}]
    parts.append({"due_on": today + days(60), "amount_minor": bill.balance_minor - half})
    plan: dict[str, Any] = {"id": str(uuid4()), "customer_id": bill.customer_id, "currency": "INR"}
    plan |= {"bills": [bill.id], "instalments": parts, "on": today}
    town.database.agree_plan(actor=ADMIN.user, plan=NewPlan.model_validate(plan))


def test_a_plan_that_is_agreed_after_the_notice_ends_the_charge(town: AutopayTown) -> None:
    customer, bill = town.announced()
    in_two_parts(town, bill)
    town.until(due(bill) + days(35))
    assert asked(town) == []
    charge = town.charge(customer)
    assert (charge.status, charge.code) == ("dropped", "nothing_due")


def test_a_dispute_that_is_over_after_the_due_date_is_announced_once_more(
    town: AutopayTown,
) -> None:
    customer, bill = town.announced()
    holds = town.utility.services.dunning_holds
    hold = holds.hold(
        hold_id=str(uuid4()),
        customer_id=customer,
        reason="dispute",
        note="Says it was read wrong",
        principal=ADMIN,
        now=town.utility.now,
    )
    town.until(due(bill) + days(20))
    assert asked(town) == []
    # Its day moves on, so that no page names one that is over.
    assert town.charge(customer).charge_on > town.utility.today
    autopay = town.database.bill(bill.id).autopay
    assert autopay is not None
    assert autopay.charge_on > town.utility.today
    holds.release(hold_id=hold.id, because="It was right", principal=ADMIN)
    town.until(town.utility.today + days(8))
    assert asked(town) == [bill.total_minor]
    assert town.kinds(bill.id).count("autopay_notice") == 2


# -- between the charge and the money ----------------------------------------------------------


def test_void_while_the_bank_is_at_it_the_money_is_credit(town: AutopayTown) -> None:
    customer, bill, intent = under_way(town)
    void(town, bill)
    town.until(town.utility.today + days(2))
    town.stripe.bank_ends(intent["id"])
    town.until(town.utility.today + days(2))
    assert balance(town, customer) == -bill.total_minor
    assert flags(town) == ["already_paid"]
    assert len(asked(town)) == 1


def test_void_while_the_bank_is_at_it_and_refused_nothing_is_tried_again(
    town: AutopayTown,
) -> None:
    customer, bill, intent = under_way(town)
    void(town, bill)
    town.stripe.bank_ends(intent["id"], code="insufficient_funds")
    town.until(town.utility.today + days(12))
    assert balance(town, customer) == 0
    assert len(asked(town)) == 1
    mandate = town.state(customer).mandate
    assert mandate is not None
    assert mandate.status == "active"
    # Nobody is told that what is void will be tried again.
    assert "autopay_failed" not in town.kinds(bill.id)
    assert town.charge(customer).status == "dropped"


def test_rebilled_larger_while_the_bank_is_at_it_only_the_difference_is_charged(
    town: AutopayTown,
) -> None:
    customer, bill, intent = under_way(town)
    pays_from_now(town)
    town.until(town.utility.today + days(1))
    new = corrected(town, bill, LARGER)
    town.until(town.utility.today + days(3))
    town.stripe.bank_ends(intent["id"])
    town.until(due(new))
    assert asked(town) == [bill.total_minor, new.total_minor - bill.total_minor]
    assert town.database.bill(new.id).status == "paid"
    assert balance(town, customer) == 0
    assert flags(town) == []


@pytest.mark.parametrize("later", [3, 12])
def test_rebilled_smaller_while_the_bank_is_at_it_the_rest_is_credit(
    town: AutopayTown, later: int
) -> None:
    customer, bill, intent = under_way(town)
    pays_from_now(town)
    new = corrected(town, bill, SMALLER)
    town.until(town.utility.today + days(later))
    # Nobody is pressed for what the debit will pay.
    assert town.database.bill(new.id).spared_because == "autopay"
    town.stripe.bank_ends(intent["id"])
    town.until(due(new) + days(1))
    assert asked(town) == [bill.total_minor]
    assert town.database.bill(new.id).status == "paid"
    assert balance(town, customer) == new.total_minor - bill.total_minor
    assert flags(town) == ["already_paid"]


@pytest.mark.parametrize(("kwh", "later"), [(LARGER, 3), (SMALLER, 3), (SMALLER, 12)])
def test_rebilled_and_then_refused_by_the_bank_the_new_bill_is_charged_whole(
    town: AutopayTown, kwh: str, later: int
) -> None:
    customer, bill, intent = under_way(town)
    pays_from_now(town)
    new = corrected(town, bill, kwh)
    town.until(town.utility.today + days(later))
    town.stripe.bank_ends(intent["id"], code="insufficient_funds")
    # More than was announced: it is announced once more, with all its days.
    town.until(due(new) + days(12))
    assert sum(i["amount"] for i in town.stripe.charged) == new.total_minor
    assert town.database.bill(new.id).status == "paid"
    assert balance(town, customer) == 0


def test_a_bill_under_way_says_since_when_and_until_when(town: AutopayTown) -> None:
    _, bill, _ = under_way(town)
    autopay = town.database.bill(bill.id).autopay
    assert autopay is not None
    assert (autopay.status, autopay.since, autopay.confirming) == ("charging", due(bill), False)
    assert autopay.expected_by is not None
    assert autopay.expected_by > due(bill)


def test_ended_while_the_bank_is_at_it_the_money_still_counts(town: AutopayTown) -> None:
    customer, bill, intent = under_way(town)
    end(town, customer)
    assert town.saved_cards() == 0
    assert town.charge(customer).status == "charging"
    # Nobody is pressed for what the bank is at.
    town.until(town.utility.today + days(3))
    assert town.database.bill(bill.id).overdue_since is None
    town.stripe.bank_ends(intent["id"])
    town.until(town.utility.today + days(1))
    assert town.database.bill(bill.id).status == "paid"
    assert len(asked(town)) == 1


def test_ended_while_the_bank_is_at_it_and_refused_the_bill_is_dunned(town: AutopayTown) -> None:
    customer, bill, intent = under_way(town)
    end(town, customer)
    town.stripe.bank_ends(intent["id"], code="insufficient_funds")
    town.until(town.utility.today + days(10))
    assert len(asked(town)) == 1
    assert town.database.bill(bill.id).overdue_since is not None


def end(town: AutopayTown, customer: str) -> None:
    """The customer ends autopay."""
    mandate = town.state(customer).mandate
    assert mandate is not None
    town.utility.services.autopay.sign_up.end(
        mandate_id=mandate.id, customer_id=customer, actor="customer:A-M1", because="Enough"
    )


def test_paid_another_way_while_the_bank_is_at_it_the_second_money_is_credit(
    town: AutopayTown,
) -> None:
    customer, bill, intent = under_way(town)
    office_payment(town, bill.id, bill.total_minor)
    town.stripe.bank_ends(intent["id"])
    town.until(town.utility.today + days(1))
    assert balance(town, customer) == -bill.total_minor
    assert flags(town) == ["already_paid"]


def test_a_plan_while_the_bank_is_at_it_and_its_money(town: AutopayTown) -> None:
    customer, bill, intent = under_way(town)
    in_two_parts(town, bill)
    town.stripe.bank_ends(intent["id"])
    town.until(town.utility.today + days(1))
    assert town.database.bill(bill.id).status == "paid"
    assert balance(town, customer) == 0
    town.until(town.utility.today + days(70))
    assert len(asked(town)) == 1


def test_credit_while_the_bank_is_at_it_stays_credit(town: AutopayTown) -> None:
    customer, bill, intent = under_way(town)
    credit(town, customer, "100")
    town.stripe.bank_ends(intent["id"])
    town.until(town.utility.today + days(1))
    assert town.database.bill(bill.id).status == "paid"
    assert balance(town, customer) == -10_000


# -- after the money ---------------------------------------------------------------------------


@pytest.mark.parametrize("amount", [None, "100"])
def test_the_office_refunds_an_autopaid_bill_and_it_is_not_charged_again(
    town: AutopayTown, amount: str | None
) -> None:
    customer, bill = town.announced()
    town.until(due(bill))
    (payment,) = town.payments(customer)
    row = town.utility.services.refunds.refund(
        payment_id=payment.id,
        amount=amount,
        by_stripe=True,
        method="stripe",
        reference="",
        reason="Asked for it",
        principal=ADMIN,
        now=town.utility.now,
    )
    back = bill.total_minor if amount is None else 10_000
    assert (row.status, row.amount_minor) == ("done", back)
    (refund,) = town.stripe.refunds.values()
    assert refund["amount"] == back
    town.until(town.utility.today + days(10))
    assert len(asked(town)) == 1
    assert balance(town, customer) == back
    assert town.charge(customer).status == "paid"
    # Nobody is asked for it until the office says so.
    assert town.database.bill(bill.id).spared_because == "money_returned"
