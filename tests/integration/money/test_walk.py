"""Thousands of random steps: balance = ledger = sum of what happened, and no illegal state."""

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.jobs.clock import utc_now
from services.quantities.period import first_of_month, local_date, next_month
from services.reports import catalogue
from services.reports.definitions import Asked
from tests.integration.money.aged import assert_receivables
from tests.integration.money.ties import assert_ties, rows_of
from tests.integration.money.walk import Walk
from tests.integration.money.walked import FIRST_DAY, Customer
from tests.integration.utility import Utility, make_utility

STEPS_A_SEED = 1500
LOOK_EVERY = 100
# Reports of all that happened are beside the ledger.
TIE_EVERY = 250
SUM_EVERY = 40


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path)
    yield made
    made.services.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_every_account_comes_to_what_happened(
    utility: Utility, database: str, seed: int
) -> None:
    walk, aged = Walk(utility, customers=6, seed=seed, more=True), 0
    # The walk's own chance goes on as it would without being looked at.
    chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
    for step in range(1, STEPS_A_SEED + 1):
        walk.step()
        if step % SUM_EVERY == 0:
            # A piece of what was posted, now and then, as in the background.
            utility.services.database.sum_postings(limit=chance.randint(1, 200))
        if step % LOOK_EVERY == 0:
            as_the_model(walk)
        if step % TIE_EVERY == 0:
            # As of now, and as of any day before.
            for until in (walk.today + timedelta(days=1), walk.random_day()):
                assert_ties(utility.services, until)
            some_day = walk.today - timedelta(days=chance.randint(0, (walk.today - FIRST_DAY).days))
            # What is kept of now, and of a month in which things were entered late.
            now = local_date(utc_now(), utility.services.settings.timezone)
            for month in (first_of_month(now), first_of_month(some_day)):
                aged += assert_receivables(utility.services.books, database, month)
    assert len(walk.closed) > 3
    for month, before in walk.closed.items():
        asked = Asked(month, next_month(month))
        assert rows_of(utility.services, catalogue.JOURNAL, asked) == before
    assert min(n for step, n in walk.done.items() if step != "close_month") > 5
    assert walk.refused > 10
    assert aged > 20


def as_the_model(walk: Walk) -> None:
    database = walk.database
    assert database.check_ledger().problems == ()
    for customer in walk.customers:
        account = database.account(customer.id)
        assert account.balance_minor == customer.account.balance
        assert account.deposit_minor == -customer.deposit.balance
        for bill_id in customer.bills[-40:]:
            as_the_bill(walk, customer, bill_id)


def as_the_bill(walk: Walk, customer: Customer, bill_id: str) -> None:
    bill = walk.database.bill(bill_id)
    assert bill.amount_paid_minor == customer.account.paid_of_bill(bill_id)
    assert bill.balance_minor == customer.account.items[bill_id].open
    low, high = sorted((0, bill.total_minor))
    assert low <= bill.amount_paid_minor <= high
    if bill.amount_paid_minor >= bill.total_minor:
        assert bill.status == "paid"
    elif bill.amount_paid_minor > 0:
        assert bill.status in {"partially_paid", "overdue"}
    else:
        assert bill.status in {"issued", "overdue"}
