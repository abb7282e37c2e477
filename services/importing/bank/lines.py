"""A line of a bank statement, and what in its text may name a bill, an account or a meter."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.importing.rows import currency_code, derived_id, parse_day
from services.importing.table import Cells
from services.languages.sentence import sentence
from services.quantities.money import Money
from services.quantities.period import local_date, start_of_day

LINE_COLUMNS = ("booked_on", "reference")
LINE_OPTIONS = ("amount", "credit", "debit", "currency", "payer", "bank_reference", "account")
LINE_NUMBERS = ("amount", "credit", "debit")
LINE_DATES = ("booked_on",)

_INVOICE: Final = re.compile(r"(?<![A-Z])INV[\s.:#/_-]{0,3}([0-9]{1,15})(?![0-9])", re.IGNORECASE)
_AROUND: Final = "()[]{}<>'\".,;:!?*+#=/\\|"
_WITHIN: Final = re.compile(r"[,;:/\\|+]")
# A shorter number may be a flat or a day; it is looked up only where nothing else stands there.
_SHORTEST: Final = 4
# A year or a day is as much a number as an account's: only alone it may be one.
_DAY: Final = re.compile(r"(?:19|20)[0-9]{2}(?:(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01]))?")
_MOST_TOKENS: Final = 30
_MOST_MINOR: Final = 10**15
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A line as a bank's file has it; the amount is below 0 where money left the account."""

    booked_on: str
    amount: str
    currency: str
    reference: str
    payer: str
    bank_reference: str
    account: str

    @property
    def cells(self) -> tuple[str, ...]:
        """What stands in the columns of HEADER."""
        return astuple(self)


HEADER: Final = (
    "booked_on", "amount", "currency", "reference", "payer", "bank_reference", "account",
)  # fmt: skip


def line_row(
    cells: Cells, *, zone: ZoneInfo, now: datetime, default: str, seen: Counter[tuple[object, ...]]
) -> Row:
    """A line as import_bank_statements takes it; `default` is the currency where none is named.

    `seen` counts the lines of the file that are alike in everything: each is one of its own.
    """
    today = local_date(now, zone)
    day = cells.parsed("booked_on", lambda text: _booked_on(text, today))
    text = cells.text("reference", most=2000)
    bank_reference = cells.text("bank_reference", most=100)
    account = "".join(cells.text("account", most=60).split()).upper()
    currency: str | None = default
    if cells.values.get("currency"):
        currency = cells.parsed("currency", currency_code)
    minor = _amount(cells, currency)
    # The bank's own reference says it is the same line, however another file words it.
    names = bank_reference or f"{text}/{cells.text('payer', most=200)}"
    alike = (account, day, minor, currency, names)
    seen[alike] += 1
    return {
        "row": cells.row,
        "id": derived_id("bank_line", *map(str, alike), str(seen[alike])),
        "account": account,
        "booked_on": day.isoformat() if day else None,
        "booked_at": start_of_day(day, zone).isoformat() if day else None,
        "amount_minor": minor,
        "currency": currency,
        "reference": text,
        "payer": cells.text("payer", most=200),
        "bank_reference": bank_reference,
        "numbers": invoice_numbers(text),
        "tokens": _names(text, minor, currency),
    }


def invoice_numbers(text: str) -> list[int]:
    """The numbers of bills that a text names: INV-000117, inv 117."""
    return list(dict.fromkeys(int(number) for number in _INVOICE.findall(text)))


def identifiers(text: str) -> list[str]:
    """What in a text may be an account number or a meter's serial: words with a digit in them."""
    text = _INVOICE.sub(" ", text)
    words = [word.strip(_AROUND) for word in text.split()]
    parts = [part.strip(_AROUND) for word in words for part in _WITHIN.split(word)]
    alone = len([word for word in words if word]) == 1
    found = [
        word
        for word in dict.fromkeys((*words, *parts))
        if _may_name(word, alone=alone and word in words)
    ]
    return found[:_MOST_TOKENS]


def _names(text: str, minor: int | None, currency: str | None) -> list[str]:
    """What in a text may name somebody: not the amount that it may say as well."""
    if minor is None or currency is None:
        return []
    shown = Money(abs(minor), currency).text
    amounts = (shown, shown.rstrip("0").rstrip(".") if "." in shown else shown)
    return [word for word in identifiers(text) if word not in amounts]


def _may_name(word: str, *, alone: bool) -> bool:
    if not any(sign.isdigit() for sign in word) or len(word) > 60:
        return False
    if not alone and _DAY.fullmatch(word):
        return False
    return alone or len(word) >= (_SHORTEST if word.isdigit() else 2)


def _booked_on(text: str, today: date) -> date:
    day = parse_day(text[:10])
    if day > today:
        raise ValueError(
            sentence("{typed} is in the future: the bank has not booked it yet.", typed=text)
        )
    return day


def _amount(cells: Cells, currency: str | None) -> int | None:
    """The amount in minor units, below 0 for money that left; None after a problem."""
    values: Mapping[str, str] = cells.values
    columns = [name for name in LINE_NUMBERS if values.get(name)]
    if len(columns) == 2 and "amount" not in columns:
        # A bank with two columns may write 0 in the other one.
        columns = [name for name in columns if set(values[name]) - set("0.,")] or columns[:1]
    if len(columns) != 1:
        cells.refuse("amount", sentence("Give the amount in one column: amount, credit or debit."))
        return None
    (column,) = columns

    def parse(text: str) -> int:
        minor = Money.parse(text, currency=currency).minor if currency else 0
        if abs(minor) > _MOST_MINOR:
            raise ValueError(sentence("The amount is larger than any bank moves."))
        # Below 0 under credit is one that the bank took back; a sign under debit says it twice.
        return -abs(minor) if column == "debit" else minor

    return cells.parsed(column, parse)
