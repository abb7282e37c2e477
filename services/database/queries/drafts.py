"""Drafts under review: listed, added up, chosen and sent back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.database.queries.base import Queries, escape_like, search_filters
from services.database.transport import Filter
from services.quantities.period import next_month
from services.records.base import Page
from services.records.drafts import Draft, DraftTotals


@dataclass(frozen=True, slots=True)
class DraftFilter:
    """Which drafts: those of a month (its 1st; the period ends in it or on the next 1st), …"""

    text: str = ""
    month: date | None = None
    tariff: str | None = None
    currency: str | None = None
    outliers_only: bool = False

    def conditions(self) -> list[Filter]:
        """As a select takes them."""
        found = search_filters(self.text)
        if self.month:
            found.append(Filter("period_end", "gt", self.month.isoformat()))
            found.append(Filter("period_end", "lte", next_month(self.month).isoformat()))
        wanted = {"tariff_code": self.tariff, "currency": self.currency}
        found += [Filter(c, "eq", v) for c, v in wanted.items() if v is not None]
        if self.outliers_only:
            found.append(Filter("outlier", "eq", True))
        return found

    def params(self) -> dict[str, Any]:
        """As a function takes them."""
        return {
            "month": self.month.isoformat() if self.month else None,
            "tariff": self.tariff,
            "currency": self.currency,
            "outliers": self.outliers_only,
            "search": [f"%{escape_like(w)}%" for w in self.text.lower().split()[:6]],
        }


@dataclass(frozen=True, slots=True)
class DraftChoice:
    """The drafts that fit a filter, without some; or, of those, only some (their ids)."""

    fitting: DraftFilter = DraftFilter()
    without: frozenset[str] = frozenset()
    only: frozenset[str] | None = None

    def params(self) -> dict[str, Any]:
        """As a function takes them."""
        only = None if self.only is None else sorted(self.only)
        return self.fitting.params() | {"except": sorted(self.without), "only": only}


class DraftQueries(Queries):
    """Bills that wait for an administrator."""

    def drafts(self, fitting: DraftFilter, *, page: int = 1, page_size: int = 25) -> Page[Draft]:
        """Drafts, newest period first."""
        rows, total = self._page(
            "draft_list",
            filters=fitting.conditions(),
            order=["period_end.desc", "id.desc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(Draft.model_validate(row) for row in rows), total=total)

    def draft_totals(self, choice: DraftChoice, *, compare: Sequence[date] = ()) -> DraftTotals:
        """What issuing the chosen drafts would bill, by currency; and what was issued for months.

        `compare` are the months' 1sts.
        """
        months = [month.isoformat() for month in compare]
        answer = self._call("draft_totals", **choice.params(), compare=months)
        return DraftTotals.model_validate(answer)

    def draft_choice(self, choice: DraftChoice) -> tuple[str, list[tuple[str, str, int]]]:
        """The chosen drafts in the order of their numbers to be, and their mark.

        Each is its id, currency and total in minor units.
        """
        answer: Mapping[str, Any] = self._call("draft_choice", **choice.params())
        return answer["mark"], [(i, currency, total) for i, currency, total in answer["drafts"]]

    def send_back_drafts(self, *, actor: str, bill_ids: Sequence[str], reason: str) -> int:
        """Void drafts, all or none, so that their readings are billed again; how many.

        Raises NotFound, and IllegalChange for one that was issued or that a later bill follows.
        """
        answer = self._call("send_back_drafts", actor=actor, bills=list(bill_ids), reason=reason)
        return int(answer["sent_back"])
