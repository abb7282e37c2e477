"""Autopay of who moves out: the final bill is charged, then it ends and the card is forgotten.

And of accounts in currencies that have no smaller unit, or a thousand of them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.records.base import PageRequest
from services.records.bills import Bill
from services.records.lists import PointFilter
from services.supply.changes import MoveIn, MoveOut, TypedRead
from tests.integration.at_stripe.autopay_server import OK, PROCESSING, AutopayStripe
from tests.integration.at_stripe.autopay_town import AutopayTown, days, due, open_town
from tests.integration.providers.conftest import links
from tests.integration.providers.published import Links
from tests.integration.providers.stand_in import running
from tests.integration.utility import ACTOR, ADMIN, KSEB

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


def do(town: AutopayTown, change: Any) -> None:
    """A change of supply as the office makes it."""
    supply, change_id = town.utility.services.supply, str(uuid4())
    how: dict[str, Any] = {"change_id": change_id, "principal": ADMIN, "now": town.utility.now}
    supply.execute(
        change,
        previewed=supply.plan(change, **how).fingerprint,
        reason="as reported",
        acknowledged=True,
        **how,
    )


def place(town: AutopayTown, serial: str) -> str:
    """The id of a meter's place."""
    found = town.database.list_service_points(
        wanted=PointFilter(text=serial), page=PageRequest(sort="code")
    )
    return str(found.items[0].id)


def moved_out(town: AutopayTown, *, card: str = OK, deposit: str = "") -> tuple[str, Bill]:
    """A customer whose first bill autopay has paid moves out today; their id, the final bill."""
    customer, bill = town.announced()
    if deposit:
        town.utility.services.office_payments.take_deposit(
            payment_id=str(uuid4()),
            customer_id=customer,
            body={"amount": deposit, "method": "cash", "received_on": town.utility.today},
            principal=ADMIN,
            now=town.utility.now,
        )
    town.until(due(bill))
    assert town.database.bill(bill.id).status == "paid"
    town.stripe.cards.update(dict.fromkeys(town.stripe.cards, card))
    do(town, MoveOut(place(town, "M1"), town.utility.today, TypedRead("1150")))
    return customer, town.utility.bills_of("M1")[-1]


def status(town: AutopayTown, customer: str) -> str:
    """How the customer's autopay stands."""
    mandate = town.state(customer).mandate
    assert mandate is not None
    return mandate.status


def test_the_final_bill_is_charged_and_then_the_card_is_forgotten(town: AutopayTown) -> None:
    customer, final = moved_out(town)
    town.until(due(final) - days(1))
    assert status(town, customer) == "active"
    assert town.saved_cards() == 1
    town.until(due(final) + days(1))
    assert town.database.bill(final.id).status == "paid"
    mandate = town.state(customer).mandate
    assert mandate is not None
    assert (mandate.status, mandate.ended_by) == ("ended", "job:autopay")
    assert mandate.ended_because == "The customer's supply has ended."
    assert town.saved_cards() == 0
    assert town.sql("select facts ->> 'left' from public.outbox where kind = 'autopay_ended'") == [
        ("yes",)
    ]
    assert town.database.account(customer).balance_minor == 0


@pytest.mark.parametrize("deposit", ["50", "1000"])
def test_a_deposit_pays_the_final_bill_first(town: AutopayTown, deposit: str) -> None:
    customer, final = moved_out(town, deposit=deposit)
    left = town.database.bill(final.id).balance_minor
    assert left == max(0, final.total_minor - int(deposit) * 100)
    before = len(town.stripe.asked)
    town.until(due(final) + days(1))
    assert [i["amount"] for i in town.stripe.asked[before:]] == ([left] if left else [])
    assert status(town, customer) == "ended"
    assert town.saved_cards() == 0


def test_while_the_final_debit_is_under_way_the_account_is_not_forgotten(
    town: AutopayTown,
) -> None:
    customer, final = moved_out(town, card=PROCESSING)
    town.until(due(final) + days(3))
    assert status(town, customer) == "active"
    town.stripe.bank_ends(town.stripe.asked[-1]["id"])
    town.until(town.utility.today + days(2))
    assert status(town, customer) == "ended"
    assert town.saved_cards() == 0
    assert town.database.bill(final.id).status == "paid"


def test_after_the_last_decline_of_a_final_bill_nothing_is_left_to_charge(
    town: AutopayTown,
) -> None:
    customer, final = moved_out(town, card="expired_card")
    town.until(due(final) + days(2))
    assert status(town, customer) == "ended"
    assert town.saved_cards() == 0
    assert town.database.bill(final.id).overdue_since is not None


def test_who_is_still_supplied_elsewhere_keeps_it(town: AutopayTown) -> None:
    customer = town.customer("M1")
    town.second_meter("M2", of="M1")
    town.sign_up(customer)
    bill = town.bill("M1")
    town.until(due(bill))
    do(town, MoveOut(place(town, "M1"), town.utility.today, TypedRead("1150")))
    town.until(due(town.utility.bills_of("M1")[-1]) + days(3))
    assert status(town, customer) == "active"
    assert town.saved_cards() == 1


def test_who_moves_in_elsewhere_in_time_keeps_it(town: AutopayTown) -> None:
    customer, final = moved_out(town)
    town.until(town.utility.today + days(3))
    do(
        town,
        MoveIn(place(town, "M1"), customer, town.utility.today, TypedRead("1160"), KSEB["code"]),
    )
    town.until(due(final) + days(3))
    assert status(town, customer) == "active"


def flat(town: AutopayTown, currency: str, rate: str) -> None:
    """A tariff of one rate in a currency, under its code."""
    charge = {"code": "energy", "description": "Energy", "kind": "energy", "rate": rate}
    made: dict[str, Any] = {"code": currency, "name": currency, "currency": currency}
    made |= {"effective_from": "2020-01-01", "charges": [charge]}
    row = {"row": 1, "id": str(uuid4()), "tariff_id": str(uuid4()), "definition": made}
    row |= {k: made[k] for k in ("code", "name", "currency", "effective_from")}
    answer = town.database.import_rows(what="tariffs", actor=ACTOR, rows=[row], dry_run=False)
    assert not answer.errors, answer


@pytest.mark.parametrize(
    ("currency", "rate", "minor", "at_stripe"),
    [("JPY", "31", 3_627, 3_627), ("KWD", "0.02", 2_340, 2_340), ("UGX", "800", 93_600, 9_360_000)],
)
def test_currencies_with_other_decimals_are_charged_and_paid_exactly(
    town: AutopayTown, currency: str, rate: str, minor: int, at_stripe: int
) -> None:
    flat(town, currency, rate)
    customer = town.customer("M1", tariff=currency)
    town.sign_up(customer, currency=currency)
    bill = town.bill("M1")
    assert (bill.currency, bill.total_minor) == (currency, minor)
    town.until(due(bill))
    assert [(i["amount"], i["currency"]) for i in town.stripe.charged] == [
        (at_stripe, currency.lower())
    ]
    (payment,) = town.payments(customer)
    assert (payment.amount_minor, payment.currency) == (minor, currency)
    assert town.database.bill(bill.id).status == "paid"


def test_an_amount_that_stripe_cannot_charge_exactly_is_left_to_the_customer(
    town: AutopayTown,
) -> None:
    flat(town, "KWD", "0.015")
    customer = town.customer("M1", tariff="KWD")
    town.sign_up(customer, currency="KWD")
    bill = town.bill("M1")
    assert bill.total_minor == 1_755
    town.until(due(bill) + days(2))
    assert town.stripe.asked == []
    charge = town.charge(customer)
    assert (charge.status, charge.code, charge.amount_minor) == ("failed", "unchargeable", 1_755)
    assert charge.detail.startswith("Stripe cannot charge so fine an amount of KWD")
    assert status(town, customer) == "active"
    assert town.database.bill(bill.id).overdue_since is not None
