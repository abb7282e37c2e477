"""What in a line's text may name who paid."""

from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from services.importing.bank.lines import identifiers, invoice_numbers, line_row
from services.importing.report import ImportProblem
from services.importing.table import Cells


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("INV-000117", [117]),
        ("Payment inv 117, INV000118/INV:119", [117, 118, 119]),
        ("INVOICE 117", []),
        ("XINV-117", []),
        ("INV-", []),
    ],
)
def test_bills_are_named_by_their_numbers(text: str, numbers: list[int]) -> None:
    assert invoice_numbers(text) == numbers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Account A-1001.", ["A-1001"]),
        ("electricity (M77), 12 Hill Road", ["M77"]),
        ("12", ["12"]),
        ("flat 12 acc 00412", ["00412"]),
        ("12/345-B thanks", ["12/345-B", "345-B"]),
        ("INV-000117", []),
        ("no digits at all", []),
        ("electricity Nov 2026", []),
        ("11/2026 paid 20261102, acc 00412", ["11/2026", "00412"]),
        ("2026", ["2026"]),
        ("11/2026", ["11/2026"]),
        ("M2026 20261340", ["M2026", "20261340"]),
    ],
)
def test_identifiers_are_words_with_a_digit(text: str, words: list[str]) -> None:
    assert identifiers(text) == words


@pytest.mark.parametrize(
    ("given", "minor"),
    [
        ({"credit": "50.00", "debit": ""}, 5_000),
        ({"credit": "50.00", "debit": "0.00"}, 5_000),
        ({"credit": "", "debit": "50.00"}, -5_000),
        ({"credit": "", "debit": "-50.00"}, -5_000),
        # A cheque that bounced stands below 0 in the column in which it came.
        ({"credit": "-50.00", "debit": ""}, -5_000),
        ({"amount": "-50.00"}, -5_000),
    ],
)
def test_money_that_left_is_no_payment(given: dict[str, str], minor: int) -> None:
    problems: list[ImportProblem] = []
    values = {"booked_on": "2026-03-02", "reference": "INV-000117"} | given
    row = line_row(
        Cells(1, values, problems),
        zone=ZoneInfo("Asia/Kolkata"),
        now=datetime(2026, 3, 5, tzinfo=UTC),
        default="INR",
        seen=Counter(),
    )
    assert (row["amount_minor"], problems) == (minor, [])


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Electricity 1500", []),
        ("1500.00 for A-1001", ["A-1001"]),
        ("Electricity 1501", ["1501"]),
    ],
)
def test_the_amount_in_the_text_is_no_account(text: str, tokens: list[str]) -> None:
    values = {"booked_on": "2026-03-02", "reference": text, "amount": "1500.00"}
    row = line_row(
        Cells(1, values, []),
        zone=ZoneInfo("Asia/Kolkata"),
        now=datetime(2026, 3, 5, tzinfo=UTC),
        default="INR",
        seen=Counter(),
    )
    assert row["tokens"] == tokens
