"""The whole life of a debit from a bank account by autopay, with the ledger after each step.

It is under way for days, comes or is refused with a code of the bank's, and may be taken back
weeks after it had come.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.records.bills import Bill
from tests.integration.at_stripe.autopay_server import OK, PROCESSING, AutopayStripe
from tests.integration.at_stripe.autopay_town import AutopayTown, days, due, open_town
from tests.integration.providers.conftest import links
from tests.integration.providers.published import Links
from tests.integration.providers.stand_in import running

__all__ = ["links"]


class Debit:
    """A customer's first debit, which the bank is at."""

    def __init__(self, town: AutopayTown) -> None:
        self.town = town
        self.customer = town.customer("M1")
        self.mandate = town.sign_up(self.customer, card=PROCESSING)
        self.bill = town.bill("M1")
        town.day(due(self.bill) - days(7))
        town.day(due(self.bill))
        self.told()
        (self.intent,) = town.stripe.asked

    def told(self, kind: str = "", **thing: Any) -> None:
        """Stripe tells of something, or of what waits; the ledger adds up after it."""
        if kind:
            self.town.stripe.happened(kind, thing)
        assert set(self.town.deliver()) <= {200}
        assert self.town.database.check_ledger().problems == ()

    def ended(self, code: str = "") -> None:
        """The bank has ended it."""
        self.town.stripe.bank_ends(self.intent["id"], code=code)
        self.told()

    def disputed(self, *steps: str, status: str = "lost", reason: str = "general") -> None:
        """Steps of a dispute, each told of."""
        of: dict[str, Any] = {"id": "dp_1", "payment_intent": self.intent["id"], "reason": reason}
        of |= {"amount": self.intent["amount"], "currency": "inr", "status": status}
        for step in steps:
            self.told(f"charge.dispute.{step}", **of)

    def after(self, count: int) -> None:
        """So many days later, each with its jobs."""
        for _ in range(count):
            self.town.day(self.town.utility.today + days(1))
            self.told()

    @property
    def now(self) -> Bill:
        """The bill."""
        return self.town.database.bill(self.bill.id)

    @property
    def owed_minor(self) -> int:
        """The account's balance, by the ledger."""
        found = self.town.database.check_ledger().balances
        return sum(one.balance_minor for one in found if one.book == "account")

    @property
    def standing(self) -> tuple[str, str]:
        """How the mandate and its only charge stand."""
        mandate = self.town.state(self.customer).mandate
        assert mandate is not None
        return mandate.status, self.town.charge(self.customer).status


@pytest.fixture
def town(links: Links, database: str, tmp_path: Path) -> Iterator[AutopayTown]:
    stripe = AutopayStripe(links)
    with running(stripe.server()) as server:
        made = open_town(database, tmp_path, stripe, server)
        yield made
        assert server.problems == []
        made.utility.services.close()


@pytest.fixture
def debit(town: AutopayTown) -> Debit:
    return Debit(town)


def test_under_way_for_days_it_comes(debit: Debit, town: AutopayTown) -> None:
    assert debit.standing == ("active", "charging")
    debit.after(6)
    assert (debit.owed_minor, debit.now.overdue_since) == (debit.bill.total_minor, None)
    debit.ended()
    assert (debit.owed_minor, debit.now.status) == (0, "paid")
    assert debit.standing == ("active", "paid")
    # The same words again, and those from before it had come.
    for kind, status in (
        ("payment_intent.succeeded", "succeeded"),
        ("payment_intent.processing", "processing"),
        ("payment_intent.payment_failed", "requires_payment_method"),
    ):
        debit.told(kind, **{**debit.intent, "status": status})
    assert (debit.owed_minor, debit.standing) == (0, ("active", "paid"))
    assert len(town.payments(debit.customer)) == 1


def test_refused_for_want_of_money_it_is_tried_again(debit: Debit, town: AutopayTown) -> None:
    debit.after(4)
    debit.ended("insufficient_funds")
    charge = town.charge(debit.customer)
    assert (charge.status, charge.code) == ("waiting", "insufficient_funds")
    assert charge.detail == "There was not enough money."
    assert debit.owed_minor == debit.bill.total_minor
    assert town.payments(debit.customer) == []
    # Nobody is pressed for what is tried again.
    assert debit.now.spared_because == "autopay"
    town.stripe.cards[str(debit.mandate.payment_method)] = OK
    debit.after(1)
    assert (debit.owed_minor, debit.now.status) == (0, "paid")
    assert len(town.stripe.asked) == 2


@pytest.mark.parametrize(
    "code",
    [
        *("debit_not_authorized", "account_closed", "no_account", "bank_account_restricted"),
        *("bank_account_invalid_details", "bank_account_frozen", "recipient_deceased"),
        *("payment_method_bank_account_blocked", "payment_intent_mandate_invalid"),
    ],
)
def test_refused_for_good_autopay_pauses_and_the_bill_is_dunned(
    debit: Debit, town: AutopayTown, code: str
) -> None:
    debit.after(4)
    debit.ended(code)
    assert debit.standing == ("paused", "failed")
    assert town.charge(debit.customer).code == code
    assert debit.owed_minor == debit.bill.total_minor
    debit.after(2)
    assert debit.now.overdue_since is not None
    assert len(town.stripe.asked) == 1


def test_taken_back_weeks_after_it_had_come_it_is_owed_again_and_not_charged_again(
    debit: Debit, town: AutopayTown
) -> None:
    debit.after(3)
    debit.ended()
    debit.after(35)
    # A bank gives a debit back without asking: the dispute is lost as it begins.
    debit.disputed("created", "funds_withdrawn", "closed", reason="insufficient_funds")
    assert debit.owed_minor == debit.bill.total_minor
    assert debit.now.balance_minor == debit.bill.total_minor
    assert debit.standing == ("paused", "paid")
    resumed = town.utility.services.autopay.sign_up.resume(
        mandate_id=debit.mandate.id,
        customer_id=debit.customer,
        actor="customer:A-M1",
        now=town.utility.now,
    )
    assert resumed.status == "active"
    debit.after(3)
    assert len(town.stripe.asked) == 1
    # Bills to come are charged.
    assert town.database.check_ledger().problems == ()


def test_a_dispute_that_was_told_of_before_the_money_counts_after_it(
    debit: Debit, town: AutopayTown
) -> None:
    town.stripe.bank_ends(debit.intent["id"])
    came, town.stripe.outgoing = town.stripe.outgoing, []
    debit.disputed("closed", "funds_withdrawn", "created")
    assert debit.owed_minor == debit.bill.total_minor
    # The webhook's word is lost; the daily look finds out.
    town.take_up()
    assert town.database.check_ledger().problems == ()
    assert debit.standing == ("paused", "paid")
    assert debit.owed_minor == debit.bill.total_minor
    town.stripe.outgoing = came
    debit.told()
    assert debit.owed_minor == debit.bill.total_minor
    assert len(town.payments(debit.customer)) == 1


def test_a_dispute_that_is_won_leaves_the_bill_paid(debit: Debit, town: AutopayTown) -> None:
    debit.ended()
    debit.disputed("created", "funds_withdrawn", status="needs_response")
    assert debit.owed_minor == debit.bill.total_minor
    debit.disputed("funds_reinstated", "closed", status="won")
    assert debit.owed_minor == 0
    assert debit.now.status == "paid"
    debit.after(2)
    assert len(town.stripe.asked) == 1


def test_a_mandate_that_the_bank_ends_while_it_is_under_way(
    debit: Debit, town: AutopayTown
) -> None:
    mandate = {"id": "mandate_1", "object": "mandate", "status": "inactive"}
    debit.told("mandate.updated", **mandate, payment_method=debit.mandate.payment_method)
    assert debit.standing == ("ended", "charging")
    debit.ended("debit_not_authorized")
    assert debit.standing == ("ended", "failed")
    assert debit.owed_minor == debit.bill.total_minor
    debit.after(2)
    assert debit.now.overdue_since is not None
    assert len(town.stripe.asked) == 1


def test_refunded_it_is_owed_and_never_charged_again(debit: Debit, town: AutopayTown) -> None:
    debit.ended()
    town.stripe.refund(debit.intent["id"], debit.intent["amount"], {})
    debit.told()
    assert debit.owed_minor == debit.bill.total_minor
    debit.after(3)
    assert debit.standing == ("active", "paid")
    assert len(town.stripe.asked) == 1
