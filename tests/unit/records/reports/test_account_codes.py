"""Codes of accounts: every account has one, and only those of a kind share one."""

import pytest
from pydantic import TypeAdapter, ValidationError

from services.records.reports.account_codes import (
    ACCOUNT_NAMES,
    DEFAULT_CODES,
    AccountCodes,
    account_code,
    account_key,
    account_name,
)

CODES = TypeAdapter(AccountCodes)


def test_each_account_has_a_code_and_a_name_by_default() -> None:
    assert DEFAULT_CODES.keys() == ACCOUNT_NAMES.keys()
    assert CODES.validate_python({**DEFAULT_CODES}) == DEFAULT_CODES


@pytest.mark.parametrize(
    "codes",
    [
        {"receivables": "12-00.A"},
        {"money.cash": "1000", "money.bank": "1000"},
        {"revenue.energy": "4000", "revenue.fixed": "4000"},
        {"tax.18": "2118", "tax.0.05": "2100"},
    ],
)
def test_what_can_be_set(codes: dict[str, str]) -> None:
    assert CODES.validate_python(codes) == codes


@pytest.mark.parametrize(
    "codes",
    [
        {"receivables": ""},
        {"receivables": "x" * 21},
        {"receivables": "=1+1"},
        {"receivables": "1010"},  # that of cash
        {"fees": "4010"},  # that of energy
        {"deposits": "2300"},  # that of suspense
        {"tax.18": "1200"},
        {"tax.x": "2118"},
        {"gossip": "1"},
        {f"tax.{n}": "2100" for n in range(1, 32)},
    ],
)
def test_what_cannot_be_set(codes: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        CODES.validate_python(codes)


def test_a_rate_goes_to_an_account_of_its_own_where_it_has_one() -> None:
    codes = {"tax.18": "2118"}
    assert account_key("tax", "18", codes) == "tax.18"
    assert account_code("tax.18", codes) == "2118"
    assert account_name("tax.18") == "Tax payable, rate 18"
    assert account_key("tax", "10", codes) == account_key("tax", "", codes) == "tax"
    assert account_code("tax", codes) == "2100"
    assert account_code(account_key("money", "cash", codes), codes) == "1010"
