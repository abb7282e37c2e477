"""What the cells of an opening balance's or past payment's row must be, and the database's."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.importing.rows import currency_code, derived_id, parse_day
from services.importing.table import Cells
from services.languages.sentence import sentence
from services.quantities.money import Money
from services.quantities.period import local_date

BALANCE_COLUMNS = ("account_no", "balance", "as_of")
BALANCE_OPTIONS = ("reference", "currency", "deposit")
BALANCE_NUMBERS = ("balance", "deposit")
BALANCE_DATES = ("as_of",)
PAST_PAYMENT_COLUMNS = ("account_no", "amount", "received_on")
PAST_PAYMENT_OPTIONS = ("method", "reference", "currency")
PAST_PAYMENT_NUMBERS = ("amount",)
PAST_PAYMENT_DATES = ("received_on",)

# Sums of many accounts still fit the database.
_MOST_MINOR: Final = 10**15
Row = dict[str, Any]


def balance_row(
    cells: Cells, *, zone: ZoneInfo, now: datetime, currencies: Mapping[str, str], default: str
) -> Row:
    """What an account owed (above 0) or had in credit, as import_balances takes it.

    `currencies` are those of the accounts that have one, `default` that of the others.
    """
    account_no = cells.identifier("account_no")
    reference = cells.text("reference", most=100)
    today = local_date(now, zone)
    as_of = cells.parsed("as_of", lambda text: _day_so_far(text, today))
    currency = _currency_of(cells, currencies.get(account_no, default))
    note = f"As of {as_of}" + (f", {reference}" if reference else "")
    return {
        "row": cells.row,
        "id": derived_id("opening_balance", account_no, currency or "", reference),
        "account_no": account_no,
        "currency": currency,
        "amount_minor": cells.parsed("balance", lambda text: _minor(text, currency)),
        "as_of": as_of.isoformat() if as_of else None,
        "note": note,
    }


def deposit_row(cells: Cells, balance: Row) -> Row | None:
    """The deposit that a row of balances names, beside its balance; None without one."""
    if not cells.values.get("deposit"):
        return None
    currency = balance["currency"]
    minor = cells.parsed("deposit", lambda text: _minor(text, currency))
    if minor is not None and minor < 0:
        cells.refuse("deposit", sentence("The deposit cannot be negative."))
    parts = balance["account_no"], currency or "", cells.text("reference", most=100)
    return balance | {
        "id": derived_id("opening_deposit", *parts),
        "book": "deposit",
        "amount_minor": -(minor or 0),
    }


def past_payment_row(
    cells: Cells,
    *,
    zone: ZoneInfo,
    now: datetime,
    currencies: Mapping[str, str],
    default: str,
    seen: Counter[tuple[object, ...]],
) -> Row:
    """A payment that another system took, as import_past_payments takes it.

    `seen` counts the payments of the file that are alike in everything: each is one of its own.
    """
    account_no = cells.identifier("account_no")
    today = local_date(now, zone)
    on = cells.parsed("received_on", lambda text: _day_so_far(text, today))
    currency = _currency_of(cells, currencies.get(account_no, default))
    method, reference = cells.text("method", most=60), cells.text("reference", most=100)
    minor = cells.parsed("amount", lambda text: _above_zero(text, currency))
    alike = (account_no, on, minor, currency, method, reference)
    seen[alike] += 1
    return {
        "row": cells.row,
        "id": derived_id("past_payment", *map(str, alike), str(seen[alike])),
        "account_no": account_no,
        "currency": currency,
        "amount_minor": minor,
        "method": method,
        "reference": reference,
        "received_on": on.isoformat() if on else None,
    }


def _currency_of(cells: Cells, known: str) -> str | None:
    if not cells.values.get("currency"):
        return known
    return cells.parsed("currency", currency_code)


def _day_so_far(text: str, today: date) -> date:
    day = parse_day(text)
    if day > today:
        raise ValueError(sentence("{typed} is in the future.", typed=text))
    return day


def _minor(text: str, currency: str | None) -> int:
    # Where the currency is wrong that is said, and the amount is not looked at.
    minor = Money.parse(text, currency=currency).minor if currency else 0
    if abs(minor) > _MOST_MINOR:
        raise ValueError(sentence("The amount is larger than any account has."))
    return minor


def _above_zero(text: str, currency: str | None) -> int:
    minor = _minor(text, currency)
    if currency and minor <= 0:
        raise ValueError(sentence("must be above 0: what went back is left out."))
    return minor
