"""Reading MT940, the account statement of SWIFT."""

import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mt940.models import Transactions
from mt940.options import Options

from services.importing.bank.lines import StatementLine
from services.importing.source import UnreadableFile
from services.languages.sentence import sentence

# What it logs of a line that it cannot read is somebody's payment.
logging.getLogger("mt940").setLevel(logging.CRITICAL)

# A credit that is taken back (RC) is money that left.
_SIGNS: Final = Options(reversal_sign=True, case_insensitive_marks=True)
_BEGINS: Final = re.compile(r"^:20:", re.MULTILINE)
_LINE: Final = re.compile(r"^:61:", re.MULTILINE)
_NO_REFERENCE: Final = ("NONREF", "NOTPROVIDED", "")


def is_mt940(text: str) -> bool:
    """Whether a text has the fields that each MT940 has."""
    return bool(_BEGINS.search(text) and re.search(r"^:25[A-Z]?:", text, re.MULTILINE))


def mt940_lines(text: str) -> Iterator[StatementLine]:
    """The lines of all statements in a file. Raises UnreadableFile."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    starts = [found.start() for found in _BEGINS.finditer(text)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield from _statement(text[start:end], first_line=text.count("\n", 0, start) + 1)


def _statement(text: str, *, first_line: int) -> Iterator[StatementLine]:
    statement = Transactions(options=_SIGNS)
    try:
        lines = list(statement.parse(text))
    except Exception as error:  # The library raises whatever its parts do.
        raise _unreadable(first_line) from error
    booked = [line for line in lines if line.data.get("amount") is not None]
    if len(booked) != len(_LINE.findall(text)):
        raise _unreadable(first_line)
    account = str(statement.data.get("account_identification") or "")
    for line in booked:
        yield _line(line.data, account)


def _unreadable(line: int) -> UnreadableFile:
    return UnreadableFile(
        sentence(
            "The statement that begins in line {line} has a line that cannot be read. "
            "Export it from the bank again; where that does not help, export it as CSV or "
            "camt.053.",
            line=str(line),
        )
    )


def _line(data: Mapping[str, Any], account: str) -> StatementLine:
    amount = data["amount"]
    purpose = data.get("purpose") or data.get("transaction_details") or ""
    texts = [purpose, data.get("additional_purpose") or "", data.get("extra_details") or ""]
    customer_reference = data.get("customer_reference") or ""
    if customer_reference not in _NO_REFERENCE:
        texts.append(customer_reference)
    bank_reference = data.get("bank_reference") or ""
    return StatementLine(
        booked_on=str(data.get("entry_date") or data["date"])[:10],
        amount=f"{amount.amount:f}",
        currency=str(amount.currency or ""),
        reference=" ".join(" ".join(texts).split()),
        payer=str(data.get("applicant_name") or ""),
        bank_reference="" if bank_reference in _NO_REFERENCE else bank_reference,
        account=account,
    )
