"""The accounts of the utility's own bookkeeping: which code each part of the journal goes to."""

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator

from services.languages.sentence import N_, sentence

# What a code is by default, and what people read of the account. The part of a line and, where it
# has one, its detail: how money moved, what revenue is of.
DEFAULT_CODES: Final[Mapping[str, str]] = {
    "receivables": "1200",
    "deposits": "2200",
    "suspense": "2300",
    "money.cash": "1010",
    "money.cheque": "1020",
    "money.bank": "1030",
    "money.mobile_money": "1040",
    "money.card": "1050",
    "money.stripe": "1060",
    "revenue.energy": "4010",
    "revenue.demand": "4020",
    "revenue.fixed": "4030",
    "revenue.percent": "4040",
    "tax": "2100",
    "fees": "4300",
    "credits": "5100",
    "rounding": "4900",
    "opening_balances": "3900",
}
ACCOUNT_NAMES: Final[Mapping[str, str]] = {
    "receivables": N_("Receivables"),
    "deposits": N_("Deposits held"),
    "suspense": N_("Money of nobody known"),
    "money.cash": N_("Cash"),
    "money.cheque": N_("Cheques"),
    "money.bank": N_("Bank transfers"),
    "money.mobile_money": N_("Mobile money"),
    "money.card": N_("Cards"),
    "money.stripe": N_("Stripe"),
    "revenue.energy": N_("Revenue: energy"),
    "revenue.demand": N_("Revenue: demand"),
    "revenue.fixed": N_("Revenue: fixed charges"),
    "revenue.percent": N_("Revenue: surcharges"),
    "tax": N_("Tax payable"),
    "fees": N_("Fees (late payment, reconnection and others)"),
    "credits": N_("Credits and write-offs"),
    "rounding": N_("Rounding"),
    "opening_balances": N_("Opening balances brought in"),
}
MOST_TAX_RATES: Final = 30
# Each of these comes to a balance of the ledger, so nothing else may go to its account.
_SHARE: Final = ("money", "revenue", "tax")
_CODE: Final = re.compile(r"[0-9A-Za-z](?:[0-9A-Za-z.\-/ ]{0,18}[0-9A-Za-z])?")
_TAX_RATE: Final = re.compile(r"tax\.[0-9]{1,9}(\.[0-9]{1,9})?")


def _group(key: str) -> str:
    first = key.partition(".")[0]
    return first if first in _SHARE else key


def _codes(codes: dict[str, str]) -> dict[str, str]:
    if any(key not in DEFAULT_CODES and not _TAX_RATE.fullmatch(key) for key in codes):
        raise ValueError("there is no such account")
    if sum(key.startswith("tax.") for key in codes) > MOST_TAX_RATES:
        raise ValueError("too many rates")
    if not all(map(_CODE.fullmatch, codes.values())):
        raise ValueError("no code of an account")
    group_of: dict[str, str] = {}
    for key, code in {**DEFAULT_CODES, **codes}.items():
        if group_of.setdefault(code.casefold(), _group(key)) != _group(key):
            raise ValueError("two accounts have one code")
    return codes


# By part, or part and detail: "money.cash", "tax.18" of a rate of its own. Those that are missing
# have their default.
AccountCodes = Annotated[dict[str, str], AfterValidator(_codes)]


def account_key(part: str, detail: str, codes: Mapping[str, str]) -> str:
    """The account of a journal line; a rate of tax has one of its own only where that is set."""
    key = f"{part}.{detail}" if detail else part
    if part == "tax":
        return key if key in codes else "tax"
    return key


def account_code(key: str, codes: Mapping[str, str]) -> str:
    """The code of an account."""
    return codes.get(key) or DEFAULT_CODES[key]


def account_name(key: str) -> str:
    """What people read of an account."""
    if key.startswith("tax."):
        return sentence("Tax payable, rate {rate}", rate=key.removeprefix("tax."))
    return sentence(ACCOUNT_NAMES[key])
