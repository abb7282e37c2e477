"""Bank statements: each line once, matched to who paid or left for a person."""

import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from services.database.errors import IllegalChange
from services.identity.auth import NotAllowed
from services.importing import Importer, ImportReport
from services.payments.entry_forms import InvalidEntry
from services.records.bills import Bill
from services.records.reconciliation import BankLine, BankLineStatus
from tests.integration.utility import ADMIN, ENGINEER, Utility, make_utility
from tests.unit.importing.bank.test_files import camt, detail, entry

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
ACTOR = "cli:tester"
HEAD = "Date,Narration,Credit,Debit,Txn ID,Account"


class Bank:
    """A utility with two customers and a bill, and statements for it."""

    def __init__(self, utility: Utility) -> None:
        self.utility = utility
        self.database = utility.services.database
        self.desk = utility.services.bank_lines
        bill = utility.submit("M1", 1117).bill
        assert bill is not None
        self.bill: Bill = self.database.bill(bill.id)

    def bring(self, *lines: str, **how: bool) -> ImportReport:
        return self.bring_file("\n".join((HEAD, *lines)).encode(), **how)

    def bring_file(self, data: bytes, **how: bool) -> ImportReport:
        importer = Importer(self.database, self.utility.services.settings.timezone, **how)  # type: ignore[arg-type]
        return importer.bank_statements(data, actor=ACTOR, now=NOW)

    def lines(self, status: BankLineStatus) -> tuple[BankLine, ...]:
        return self.desk.lines(status=status, principal=ADMIN, page=1, page_size=50).items

    def owes(self, account_no: str) -> int:
        return self.database.account_numbered(account_no).balance_minor


@pytest.fixture
def bank(database: str, tmp_path: Path) -> Iterator[Bank]:
    utility = make_utility(database, tmp_path, now=NOW)
    utility.add_meter("M1")
    utility.add_meter("M2")
    yield Bank(utility)
    utility.services.close()


def counts(report: ImportReport) -> tuple[int, int, int]:
    assert report.ok, [str(problem) for problem in report.errors]
    return report.added, report.changed, report.unchanged


def test_lines_are_matched_by_bill_account_and_meter_and_a_repeat_pays_nothing(bank: Bank) -> None:
    rows = (
        f"2026-03-02,{bank.bill.reference} thanks,540.35,,T1,ACC",
        "2026-03-03,account A-M2,20,,T2,ACC",
        "2026-03-03,meter m2.,30,,T3,ACC",
        "2026-03-04,hello,5,,T4,ACC",
        "2026-03-04,Bank fees,,2.50,T5,ACC",
    )
    looked = bank.bring(*rows, dry_run=True)
    assert counts(looked) == (5, 0, 0)
    assert bank.owes("A-M1") == 54_035
    assert counts(bank.bring(*rows)) == (5, 0, 0)
    assert counts(bank.bring(*rows)) == (0, 0, 5)
    assert counts(bank.bring(*rows[1:], "2026-03-05,A-M2,1,,T6,ACC")) == (1, 0, 4)
    assert (bank.owes("A-M1"), bank.owes("A-M2")) == (0, -5_100)
    assert bank.database.bill(bank.bill.id).status == "paid"
    matched = {line.bank_reference: line for line in bank.lines("matched")}
    assert {ref: line.matched_by for ref, line in matched.items()} == {
        "T1": "bill", "T2": "account", "T3": "meter", "T6": "account",
    }  # fmt: skip
    assert (matched["T1"].expected_minor, matched["T1"].bill_number) == (54_035, bank.bill.number)
    (waiting,) = bank.lines("open")
    assert (waiting.bank_reference, waiting.why) == ("T4", "no_reference")
    (out,) = bank.lines("out")
    assert (out.amount_minor, out.payment_id) == (-250, None)
    assert bank.database.payments(customer_id=bank.bill.customer_id).total == 1
    assert bank.database.check_ledger().problems == ()


def test_two_payments_that_are_alike_are_two_and_the_same_line_in_camt_is_one(bank: Bank) -> None:
    same = "2026-03-02,A-M2,7,,,"
    assert counts(bank.bring(same, same)) == (2, 0, 0)
    assert counts(bank.bring(same, same)) == (0, 0, 2)
    assert bank.owes("A-M2") == -1_400
    iban = "DE02120300000000202051"
    rupees = camt(entry("9.00", detail("A-M2"))).replace(b'Ccy="EUR"', b'Ccy="INR"')
    assert counts(bank.bring(f"2026-03-02,words of the CSV A-M2,9,,R-1,{iban}")) == (1, 0, 0)
    assert counts(bank.bring_file(rupees)) == (0, 0, 1)
    assert bank.owes("A-M2") == -2_300


def test_the_same_line_from_a_file_that_names_no_account_is_not_counted_twice(bank: Bank) -> None:
    rupees = camt(entry("9.00", detail("A-M2"))).replace(b'Ccy="EUR"', b'Ccy="INR"')
    assert counts(bank.bring("2026-03-02,words of the CSV A-M2,9,,,")) == (1, 0, 0)
    assert counts(bank.bring_file(rupees)) == (1, 0, 0)
    assert bank.owes("A-M2") == -900
    (line,) = bank.lines("open")
    assert (line.why, line.detail) == (
        "entered_already",
        "imported from another file, of 2026-03-02",
    )
    # One that is truly another is a person's to count.
    bank.desk.choose_payer(
        line.id, customer_id=bank.database.account_numbered("A-M2").id, principal=ADMIN
    )
    assert bank.owes("A-M2") == -1_800
    # Of one account, alike lines are lines of their own.
    assert counts(bank.bring("2026-03-05,A-M2,4,,,", "2026-03-05,A-M2,4,,,")) == (2, 0, 0)
    assert (bank.owes("A-M2"), bank.lines("open")) == (-2_600, ())


def test_what_is_not_certain_waits_for_a_person(bank: Bank) -> None:
    record = bank.utility.services.office_payments.record_payment
    body = {"amount": "77", "method": "bank", "received_on": "2026-03-03", "reference": "X"}
    customer = bank.database.account_numbered("A-M2").id
    record(payment_id=str(uuid4()), customer_id=customer, body=body, principal=ADMIN, now=NOW)
    assert bank.bring(
        "2026-03-02,A-M1 and A-M2,5,,T1,",
        "2026-03-02,A-M2,77,,T2,",
        "2026-03-02,INV-999999,5,,T3,",
    ).ok
    dollars = camt(entry("9.00", detail("A-M2"))).replace(b'Ccy="EUR"', b'Ccy="USD"')
    assert bank.bring_file(dollars).ok
    whys = {line.bank_reference: (line.why, line.detail) for line in bank.lines("open")}
    assert whys == {
        "T1": ("several", "A-M1, A-M2"),
        "T2": ("entered_already", "entered on 2026-03-03"),
        "T3": ("no_reference", ""),
        "R-1": ("other_currency", "INR"),
    }
    assert bank.owes("A-M2") == -7_700


def test_a_person_chooses_who_paid_or_sets_the_line_aside(bank: Bank) -> None:
    assert bank.bring("2026-03-02,hello,540.35,,T1,", "2026-03-02,our own,5,,T2,").ok
    first, second = bank.lines("open")
    if first.bank_reference == "T2":
        first, second = second, first
    for _ in range(2):
        now = bank.desk.choose_payer(first.id, bill_id=bank.bill.id, principal=ADMIN)
        assert (now.status, now.matched_by, now.account_no) == ("matched", "person", "A-M1")
    assert bank.database.bill(bank.bill.id).status == "paid"
    other = bank.database.account_numbered("A-M2").id
    with pytest.raises(IllegalChange, match="Somebody else decided"):
        bank.desk.choose_payer(first.id, customer_id=other, principal=ADMIN)
    with pytest.raises(IllegalChange, match="Somebody else decided"):
        bank.desk.set_aside(first.id, reason="no", principal=ADMIN)
    with pytest.raises(InvalidEntry, match="Say why"):
        bank.desk.set_aside(second.id, reason=" ", principal=ADMIN)
    for _ in range(2):
        bank.desk.set_aside(second.id, reason="A transfer of our own", principal=ADMIN)
    (aside,) = bank.lines("set_aside")
    assert (aside.reason, aside.decided_by) == ("A transfer of our own", ADMIN.user)
    assert bank.desk.choose_payer(aside.id, customer_id=other, principal=ADMIN).account_no == "A-M2"
    assert bank.lines("open") == ()
    with pytest.raises(NotAllowed):
        bank.desk.lines(status="open", principal=ENGINEER, page=1, page_size=5)
    with pytest.raises(NotAllowed):
        bank.desk.set_aside(second.id, reason="x", principal=ENGINEER)
    with pytest.raises(NotAllowed):
        bank.desk.choose_payer(second.id, customer_id=other, principal=ENGINEER)


def test_a_payer_in_another_currency_is_refused(bank: Bank) -> None:
    dollars = camt(entry("9.00", detail("hello"))).replace(b'Ccy="EUR"', b'Ccy="USD"')
    assert bank.bring_file(dollars).ok
    (line,) = bank.lines("open")
    with pytest.raises(IllegalChange, match="The bill is in INR"):
        bank.desk.choose_payer(line.id, bill_id=bank.bill.id, principal=ADMIN)
    assert bank.lines("open") == (line,)


def test_a_statement_of_another_account_is_asked_about(bank: Bank) -> None:
    assert bank.bring("2026-03-02,x,5,,T1,DE1").ok
    report = bank.bring("2026-03-02,x,5,,T1,DE2")
    assert [str(problem) for problem in report.errors] == [
        (
            "row 2, account: The statement is of the account DE2; those before were of DE1. If "
            "this one is the utility's too, say so."
        )
    ]
    assert report.asks == {"account"}
    assert counts(bank.bring("2026-03-02,x,5,,T1,DE2", other_account=True)) == (1, 0, 0)


def test_what_is_wrong_with_a_row_is_said_and_nothing_is_written(bank: Bank) -> None:
    report = bank.bring(
        "2026-03-02,x,5,6,T1,",
        "2026-03-02,x,,,T2,",
        "2026-04-02,x,5,,T3,",
        "2026-03-02,x,five,,T4,",
        "2026-03-02,x,0.00,7,T5,",
    )
    assert [(problem.row, problem.column) for problem in report.errors] == [
        (2, "amount"), (3, "amount"), (4, "booked_on"), (5, "credit"),
    ]  # fmt: skip
    assert bank.lines("open") == bank.lines("out") == ()


@pytest.mark.slow
def test_three_bad_rows_of_200_000_are_named_in_bounded_time_and_memory(bank: Bank) -> None:
    rows = [f"2026-03-02,account A-M{n % 3},{n % 97 + 1},,T{n},ACC" for n in range(200_000)]
    for bad in (7, 100_000, 199_999):
        rows[bad] = rows[bad].replace("2026-03-02", "2026-13-02")
    began = time.monotonic()
    report = bank.bring(*rows)
    assert [problem.row for problem in report.errors] == [9, 100_002, 200_001]
    assert time.monotonic() - began < 120
    # Watching each allocation takes many times as long, so a tenth stands for the whole.
    tracemalloc.start()
    bank.bring(*rows[:20_000])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 150_000_000
