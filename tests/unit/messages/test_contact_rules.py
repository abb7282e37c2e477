"""Tax numbers: those of a known form must have it, others are kept as they are written."""

import pytest

from services.messages.contact_rules import tax_number


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("de 136 695 976", "DE136695976"),
        ("ATU13585627", "ATU13585627"),
        ("FR 40 303265045", "FR40303265045"),
        ("NL004495445B01", "NL004495445B01"),
        ("ESX1234567L", "ESX1234567L"),
        ("32aaacb1234c1z5", "32AAACB1234C1Z5"),
        ("12-3456789", "12-3456789"),
        ("MVA 987654321", "MVA 987654321"),
        ("Estate 7", "Estate 7"),
    ],
)
def test_numbers_are_kept_in_one_form(typed: str, kept: str) -> None:
    assert tax_number(typed) == kept


@pytest.mark.parametrize(
    "typed",
    ["DE12345678", "ATU1234567", "32AAACB1234C1X5", "abc", "x" * 41, "12#45", "PL12345678901"],
)
def test_numbers_that_are_none_are_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"^(does not have the form|is not a tax number)"):
        tax_number(typed)
