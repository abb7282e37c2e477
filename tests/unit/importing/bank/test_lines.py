"""What in a line's text may name who paid."""

import pytest

from services.importing.bank.lines import identifiers, invoice_numbers


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
    ],
)
def test_identifiers_are_words_with_a_digit(text: str, words: list[str]) -> None:
    assert identifiers(text) == words
