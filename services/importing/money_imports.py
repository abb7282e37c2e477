"""Imports of money from before this system: opening balances, and payments as history."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from services.importing.by_kind.balance_rows import balance_row, past_payment_row
from services.importing.chunks import chunks_of
from services.importing.report import ImportReport
from services.importing.source import Source, UnreadableFile
from services.importing.supply_imports import SupplyImports
from services.importing.table import Cells
from services.importing.table_imports import TRIED_AT_ONCE, chunks_by, name_duplicates
from services.importing.writing import Row

_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class MoneyImports(SupplyImports):
    """Opening balances and past payments.

    `default_currency` is that of accounts that have none yet. `outbox` has what bills owe that an
    opening credit pays (Outbox.on_money).
    """

    default_currency: str = "INR"
    outbox: Mapping[str, Any] = field(default_factory=dict)

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
        for some in chunks_of(table.rows(), _AT_ONCE):
            accounts = [cells.values["account_no"] for cells in some]
            currencies = self.database.account_currencies(account_nos=accounts)
            rows += [row_of(cells, currencies) for cells in some]
        if once:
            name_duplicates(rows, "id", table.problems, shown="account_no")
        self._look_alikes.name_unknown(
            rows, kind="customers", column="account_no", problems=table.problems
        )
        size = min(self.chunk_rows, TRIED_AT_ONCE) if self.dry_run else self.chunk_rows
        chunks = list(chunks_by("account_no", rows, size))
        return self._check_and_store(kind, chunks, actor, table)
