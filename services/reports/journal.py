"""The journal: what was posted as lines of the utility's own accounts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.languages.sentence import sentence
from services.quantities.money import Money
from services.quantities.period import first_of_month
from services.records.bills import invoice_reference
from services.records.reports.account_codes import account_code, account_key, account_name
from services.records.reports.journal import JournalLine, JournalSum, Posting
from services.reports.definitions import Asked, Row
from services.settings import Settings
from services.utility_settings.model import live_settings

KIND_WORDS: Final[Mapping[str, str]] = {
    "bill": sentence("Bill"),
    "bill_void": sentence("Bill voided"),
    "payment": sentence("Payment"),
    "assigned": sentence("Payment assigned to its account"),
    "return": sentence("Money given back"),
    "refund": sentence("Refund"),
    "reversal": sentence("Payment reversed"),
    "dispute": sentence("Payment disputed"),
    "payout": sentence("Credit paid out"),
    "return_undone": sentence("Return that came back"),
    "credit": sentence("Credit"),
    "credit_undone": sentence("Credit taken back"),
    "fee": sentence("Fee"),
    "fee_undone": sentence("Fee taken back"),
    "deposit_used": sentence("Deposit used"),
    "opening_balance": sentence("Opening balance"),
    "opening_balance_undone": sentence("Opening balance taken back"),
}


class AccountsOfMonths:
    """The codes of accounts by month: those of a closed month are as they were at its closing.

    So a journal that was taken along is the same whenever it is taken again.
    """

    def __init__(self, database: DatabaseService, deployed: Settings) -> None:
        self._database, self._deployed = database, deployed
        self._of: dict[date, Mapping[str, str]] = {}

    def __call__(self, on: date) -> Mapping[str, str]:
        """The codes that hold for what is dated on a day."""
        month = first_of_month(on)
        if month not in self._of:
            stored = self._database.utility_settings_of_month(month)
            self._of[month] = live_settings(self._deployed, stored.settings).account_codes
        return self._of[month]


@dataclass(frozen=True, slots=True)
class Journal:
    """The rows of the journal and of its sums."""

    database: DatabaseService
    deployed: Settings
    zone: ZoneInfo

    def page(
        self, asked: Asked, after: Posting | None, limit: int
    ) -> tuple[list[Row], Posting | None]:
        """The lines of up to `limit` documents."""
        lines, following = self.database.journal_page(
            start=asked.start, until=asked.until, after=after, limit=limit
        )
        codes = AccountsOfMonths(self.database, self.deployed)
        return [self._row(line, codes(line.on_date)) for line in lines], following

    def by_day(self, asked: Asked) -> list[Row]:
        """Debit and credit of each day and account."""
        codes = AccountsOfMonths(self.database, self.deployed)
        sums: dict[tuple[date, str, str], list[int]] = {}
        for found in self._sums(asked):
            if not found.amount_minor:
                continue  # a tax of nothing
            key = account_key(found.part, found.detail, codes(found.on_date))
            sides = sums.setdefault((found.on_date, found.currency, key), [0, 0])
            sides[0 if found.is_debit else 1] += found.amount_minor
        rows: list[Row] = []
        for (on, currency, key), (debit, credit) in sums.items():
            code, name = account_code(key, codes(on)), account_name(key)
            rows.append((on, code, name, *_sides(debit, -credit, currency), currency))
        return sorted(rows, key=lambda row: (str(row[0]), str(row[5]), str(row[1]), str(row[2])))

    def tax(self, asked: Asked) -> list[Row]:
        """Tax by its code and rate: what it is of, and how much it is."""
        codes = AccountsOfMonths(self.database, self.deployed)
        sums: dict[tuple[str, ...], tuple[str, Decimal, int]] = {}
        for found in self._sums(asked):
            if found.part != "tax":
                continue
            key = account_key("tax", found.detail, codes(found.on_date))
            account = account_code(key, codes(found.on_date))
            of = (found.currency, found.code, found.detail, found.unit, account)
            before = sums.get(of, (found.description, Decimal(0), 0))
            base = before[1] + Decimal(found.base or 0)
            sums[of] = (found.description, base, before[2] - found.amount_minor)
        return [
            (
                code,
                description,
                rate or sentence("several"),
                currency if unit == "%" else unit,
                base,
                Money(minor, currency),
                currency,
                account,
            )
            for (currency, code, rate, unit, account), (description, base, minor) in sorted(
                sums.items()
            )
        ]

    def _sums(self, asked: Asked) -> list[JournalSum]:
        return self.database.journal_sums(start=asked.start, until=asked.until)

    def _row(self, line: JournalLine, codes: Mapping[str, str]) -> Row:
        key = account_key(line.part, line.detail, codes)
        minor = line.amount_minor
        why = (line.credit_note, line.note or line.reference)
        more = " · ".join(filter(None, (line.customer_name, *why)))
        kind = KIND_WORDS[line.kind]
        return (
            line.on_date,
            document_of(line),
            account_code(key, codes),
            account_name(key),
            *_sides(max(minor, 0), max(-minor, 0), line.currency),
            line.currency,
            sentence("{kind} · {more}", kind=kind, more=more) if more else kind,
            line.account_no,
            line.actor,
            line.created_at.astimezone(self.zone).isoformat(timespec="seconds"),
            line.posting_no,
        )


def document_of(line: JournalLine) -> str:
    """The number of a line's document: that of the bill, else that of the posting."""
    if line.bill_number is not None:
        return invoice_reference(line.bill_number)
    return f"J-{line.posting_no:06d}"


def _sides(debit: int, credit: int, currency: str) -> tuple[Money | None, Money | None]:
    return (
        Money(debit, currency) if debit else None,
        Money(credit, currency) if credit else None,
    )
