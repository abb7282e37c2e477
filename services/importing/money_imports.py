"""Imports of money from before this system: opening balances, and payments as history."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from services.importing.bank.lines import line_row
from services.importing.by_kind.balance_rows import balance_row, deposit_row, past_payment_row
from services.importing.chunks import chunks_of
from services.importing.interval_imports import IntervalImports
from services.importing.report import ImportProblem, ImportReport
from services.importing.source import Source, UnreadableFile
from services.importing.table import Cells, Table
from services.importing.table_imports import TRIED_AT_ONCE, chunks_by, name_duplicates
from services.importing.writing import Row
from services.languages.sentence import sentence

_AT_ONCE = 5000
# Each may become a payment with its allocations: a call stays within some seconds.
LINES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class MoneyImports(IntervalImports):
    """Opening balances and past payments.

    `default_currency` is that of accounts that have none yet. `outbox` has what bills owe that an
    opening credit pays (Outbox.on_money). With `other_account` a bank statement may be of an
    account of which there was none yet.
    """

    default_currency: str = "INR"
    outbox: Mapping[str, Any] = field(default_factory=dict)
    other_account: bool = False

    @property
    def _follows(self) -> Mapping[str, Any] | None:
        return self.outbox or None

    def balances(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Enter what accounts owed or had in credit, once for each account and reference."""
        return self._money(
            "balances",
            source,
            actor,
            lambda cells, currencies: balance_row(
                cells,
                zone=self.zone,
                now=now,
                currencies=currencies,
                default=self.default_currency,
            ),
            once=True,
        )

    def past_payments(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Keep payments that another system took; they pay nothing here."""
        seen: Counter[tuple[object, ...]] = Counter()
        return self._money(
            "past_payments",
            source,
            actor,
            lambda cells, currencies: past_payment_row(
                cells,
                zone=self.zone,
                now=now,
                currencies=currencies,
                default=self.default_currency,
                seen=seen,
            ),
        )

    def bank_statements(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Keep the lines of a bank's statement (CSV, MT940, camt.053), and count what is paid.

        A line whose text names a bill, an account or a meter becomes a payment; others wait.
        """
        try:
            table = self._table("bank_statements", source)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        seen: Counter[tuple[object, ...]] = Counter()
        rows = [
            line_row(cells, zone=self.zone, now=now, default=self.default_currency, seen=seen)
            for cells in table.rows()
        ]
        self._ask_account(rows, table)
        size = min(self.chunk_rows, LINES_AT_ONCE)
        return self._check_and_store("bank_statements", list(chunks_of(rows, size)), actor, table)

    def _ask_account(self, rows: Sequence[Row], table: Table) -> None:
        """A statement of an account that is not the one of the statements before is asked about."""
        known = self.database.bank_accounts()
        new = {row["account"]: row["row"] for row in reversed(rows) if row["account"]}
        for account, row in new.items():
            if known and account not in known and not self.other_account:
                why = sentence(
                    "The statement is of the account {account}; those before were of {others}. If "
                    "this one is the utility's too, say so.",
                    account=account,
                    others=", ".join(known[:5]),
                )
                table.problems.append(ImportProblem(row, "account", why))
                table.asks.add("account")

    def _money(
        self,
        kind: Literal["balances", "past_payments"],
        source: Source,
        actor: str,
        row_of: Callable[[Cells, Mapping[str, str]], Row],
        *,
        once: bool = False,
    ) -> ImportReport:
        try:
            table = self._table(kind, source)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        rows: list[Row] = []
        deposits: list[Row] = []
        for some in chunks_of(table.rows(), _AT_ONCE):
            accounts = [cells.values["account_no"] for cells in some]
            currencies = self.database.account_currencies(account_nos=accounts)
            rows += [row_of(cells, currencies) for cells in some]
            if kind == "balances":
                pairs = zip(some, rows[-len(some) :], strict=True)
                deposits += filter(None, (deposit_row(cells, row) for cells, row in pairs))
        if once:
            name_duplicates(rows, "id", table.problems, shown="account_no")
        self._look_alikes.name_unknown(
            rows, kind="customers", column="account_no", problems=table.problems
        )
        size = min(self.chunk_rows, TRIED_AT_ONCE)
        chunks = list(chunks_by("account_no", [*rows, *deposits], size))
        return self._check_and_store(kind, chunks, actor, table)
