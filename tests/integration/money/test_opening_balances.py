"""What a utility brings from another system: opening balances, and payments as history."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from services.importing import Importer, ImportReport
from services.records.entries import NewReturn
from services.records.ledger import Payment
from tests.integration.utility import ADMIN, Utility, make_utility

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
ACTOR = "cli:tester"
BALANCES = "account_no,balance,as_of,reference"
PAST = "account_no,amount,received_on,method,reference"


class Moving:
    """Imports for a test, and the accounts that they are about."""

    def __init__(self, utility: Utility) -> None:
        self.utility = utility
        self.database = utility.services.database
        self.importer = Importer(self.database, utility.services.settings.timezone)

    def balances(self, *lines: str, header: str = BALANCES) -> ImportReport:
        return self.importer.balances("\n".join((header, *lines)), actor=ACTOR, now=NOW)

    def past(self, *lines: str) -> ImportReport:
        return self.importer.past_payments("\n".join((PAST, *lines)), actor=ACTOR, now=NOW)

    def owes(self, account_no: str) -> int:
        return self.database.account_numbered(account_no).balance_minor

    def pay(self, account_no: str, amount: str) -> Payment:
        """Cash at the desk."""
        account = self.database.account_numbered(account_no)
        body = {"amount": amount, "method": "cash", "received_on": "2026-03-14", "reference": ""}
        receipt = self.utility.services.office_payments.record_payment(
            payment_id=str(uuid4()),
            customer_id=account.id,
            body=body,
            principal=ADMIN,
            now=NOW,
            confirmed=True,
        )
        return receipt.payment


@pytest.fixture
def moving(database: str, tmp_path: Path) -> Iterator[Moving]:
    utility = make_utility(database, tmp_path, now=NOW)
    utility.add_meter("M1")
    utility.add_meter("M2")
    yield Moving(utility)
    utility.services.close()


def counts(report: ImportReport) -> tuple[int, int, int]:
    assert report.ok, [str(problem) for problem in report.errors]
    return report.added, report.changed, report.unchanged


def said(report: ImportReport) -> list[str]:
    return [str(problem) for problem in report.errors]


def test_balances_are_entered_once_and_stand_in_the_statement_and_who_owes(moving: Moving) -> None:
    rows = ("A-M1,250.50,2026-01-31,OLD-7", "A-M1,100,2026-03-05,OLD-8", "A-M2,-80,2026-02-28,")
    assert counts(moving.balances(*rows)) == (3, 0, 0)
    assert counts(moving.balances(*rows)) == (0, 0, 3)
    assert counts(moving.balances("A-M2,0,2026-02-28,NOTHING")) == (0, 0, 1)
    assert (moving.owes("A-M1"), moving.owes("A-M2")) == (35_050, -8_000)
    owing = moving.database.accounts(owing_only=True).items
    assert [account.account_no for account in owing] == ["A-M1"]
    entries = moving.database.ledger(customer_id=owing[0].id).items
    assert {(e.kind, e.note, e.on_date) for e in entries} == {
        ("opening_balance", "As of 2026-01-31, OLD-7", date(2026, 1, 31)),
        ("opening_balance", "As of 2026-03-05, OLD-8", date(2026, 3, 5)),
    }
    aged = moving.utility.services.books.receivables(date(2026, 3, 1))
    (total,) = aged.totals
    # At the end of the month 59 and 26 days have passed.
    late = (total.late_60_minor, total.late_30_minor, total.credit_minor)
    assert late == (25_050, 10_000, -8_000)
    assert moving.database.check_ledger().problems == ()


def test_a_payment_pays_the_oldest_balance_first_and_credit_pays_the_next_bill(
    moving: Moving,
) -> None:
    assert moving.balances("A-M1,250.50,2026-01-31,OLD-7", "A-M2,-80,2026-02-28,").ok
    bill = moving.utility.submit("M1", 1117).bill
    assert bill is not None
    moving.pay("A-M1", "300")
    customer = moving.database.account_numbered("A-M1").id
    left = {
        entry.kind: entry.open_minor for entry in moving.database.open_debits(customer_id=customer)
    }
    assert left == {"bill": 54_035 - 4_950}
    second = moving.utility.submit("M2", 1117).bill
    assert second is not None
    assert moving.database.bill(second.id).amount_paid_minor == 8_000
    assert moving.owes("A-M2") == 54_035 - 8_000


def test_a_payment_of_an_opening_balance_can_go_back_whole(moving: Moving) -> None:
    assert moving.balances("A-M1,250.50,2026-01-31,OLD-7").ok
    paid = moving.pay("A-M1", "250.50")
    assert moving.owes("A-M1") == 0
    moving.database.record_return(
        actor=ACTOR,
        entry=NewReturn(
            id=str(uuid4()), payment_id=paid.id, kind="refund", method="cash", reason="twice",
            on_date=date(2026, 3, 15),
        ),
    )  # fmt: skip
    assert moving.owes("A-M1") == 25_050
    customer = moving.database.account_numbered("A-M1").id
    (left,) = moving.database.open_debits(customer_id=customer)
    assert (left.kind, left.open_minor) == ("opening_balance", 25_050)
    assert moving.database.check_ledger().problems == ()


def test_a_wrong_balance_is_taken_back_and_told_of(moving: Moving) -> None:
    assert moving.balances("A-M1,250.50,2026-01-31,OLD-7").ok
    customer = moving.database.account_numbered("A-M1").id
    (why,) = said(moving.balances("A-M1,300,2026-01-31,OLD-7"))
    assert why.startswith("row 2, balance: Account A-M1 has an opening balance with this reference")
    (entry,) = moving.database.adjustments(customer_id=customer)
    moving.utility.services.account_adjustments.undo_adjustment(
        entry_id=entry.id, reason="wrong list", principal=ADMIN, now=NOW
    )
    assert moving.owes("A-M1") == 0
    assert counts(moving.balances("A-M1,300,2026-01-31,OLD-7b")) == (1, 0, 0)
    told = moving.database.ledger(customer_id=customer).items
    assert {e.kind for e in told} == {"opening_balance", "opening_balance_undone"}


@pytest.mark.parametrize(
    ("row", "said_of_it"),
    [
        ("A-9,5,2026-01-31,", "account_no: No customer has the account number A-9."),
        ("A-M1,5,2026-05-31,", "as_of: 2026-05-31 is in the future."),
        ("A-M1,five,2026-01-31,", "balance: "),
        ("A-M1,5.005,2026-01-31,", "balance: "),
        ("A-M1,,2026-01-31,", "balance: "),
        ("A-M2,6,2026-01-31,X", "account_no: A-M2 stands in row 2 already"),
    ],
)
def test_a_balance_that_does_not_fit_is_named_and_nothing_is_written(
    moving: Moving, row: str, said_of_it: str
) -> None:
    (why,) = said(moving.balances("A-M2,6,2026-01-31,X", row))
    assert why.startswith(f"row 3, {said_of_it}")
    assert moving.owes("A-M2") == 0


def test_another_currency_than_the_accounts_is_refused(moving: Moving) -> None:
    (why,) = said(
        moving.balances("A-M1,5,2026-01-31,USD", header="account_no,balance,as_of,currency")
    )
    assert why == "row 2, currency: Account A-M1 is in INR, not in USD."


def test_past_payments_are_history_that_pays_nothing(moving: Moving) -> None:
    assert moving.balances("A-M1,250.50,2026-01-31,OLD-7").ok
    alike = "A-M1,40,2025-12-01,cash,"
    rows = (alike, alike, "A-M1,10,2025-11-02,Bank,R-1")
    assert counts(moving.past(*rows)) == (3, 0, 0)
    assert counts(moving.past(*rows)) == (0, 0, 3)
    assert moving.owes("A-M1") == 25_050
    customer = moving.database.account_numbered("A-M1").id
    found = moving.utility.services.customers.past_payments(
        customer_id=customer, principal=ADMIN, page=1, page_size=2
    )
    assert (found.total, [p.amount_minor for p in found.items]) == (3, [4_000, 4_000])
    assert moving.database.payments(customer_id=customer).total == 0
    assert said(moving.past("A-M1,0,2025-12-01,cash,", "A-M1,5,2099-12-01,cash,")) == [
        "row 2, amount: must be above 0: what went back is left out.",
        "row 3, received_on: 2099-12-01 is in the future.",
    ]
