"""Drafts under review, and requests for approval: listed, decided on."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, Final, Literal

from services.database.queries.base import Queries, escape_like, search_filters
from services.database.transport import Filter
from services.quantities.period import next_month
from services.records.base import Page
from services.records.drafts import (
    ApprovalKind,
    ApprovalRequest,
    AskedApproval,
    ChosenDraft,
    Draft,
    DraftChoice,
    DraftFilter,
    DraftTotals,
)


class DraftQueries(Queries):
    """Bills that wait to be issued by the office."""

    def drafts(self, fitting: DraftFilter, *, page: int = 1, page_size: int = 25) -> Page[Draft]:
        """Drafts, newest period first."""
        rows, total = self._page(
            "draft_list",
            filters=_conditions(fitting),
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
        answer = self._call("draft_totals", **_params(choice), compare=months)
        return DraftTotals.model_validate(answer)

    def draft_choice(self, choice: DraftChoice) -> tuple[str, list[ChosenDraft]]:
        """The mark of the chosen drafts, and these in the order of their numbers to be."""
        answer: Mapping[str, Any] = self._call("draft_choice", **_params(choice))
        return answer["mark"], [ChosenDraft(*draft) for draft in answer["drafts"]]

    def send_back_drafts(self, *, actor: str, bill_ids: Sequence[str], reason: str) -> int:
        """Void drafts, all or none, so that their readings are billed again; how many.

        Raises NotFound, and IllegalChange for one that was issued or that a later bill follows.
        """
        answer = self._call("send_back_drafts", actor=actor, bills=list(bill_ids), reason=reason)
        return int(answer["sent_back"])


def _conditions(fitting: DraftFilter) -> list[Filter]:
    """A filter as a select takes it."""
    found = search_filters(fitting.text)
    if fitting.month:
        found.append(Filter("period_end", "gt", fitting.month.isoformat()))
        found.append(Filter("period_end", "lte", next_month(fitting.month).isoformat()))
    wanted = {"tariff_code": fitting.tariff, "currency": fitting.currency}
    found += [Filter(c, "eq", v) for c, v in wanted.items() if v is not None]
    if fitting.outliers_only:
        found.append(Filter("outlier", "eq", True))
    return found


def _params(choice: DraftChoice) -> dict[str, Any]:
    """A choice as a function takes it."""
    fitting = choice.fitting
    return {
        "month": fitting.month.isoformat() if fitting.month else None,
        "tariff": fitting.tariff,
        "currency": fitting.currency,
        "outliers": fitting.outliers_only,
        "search": [f"%{escape_like(w)}%" for w in fitting.text.lower().split()[:6]],
        "except": sorted(choice.without),
        "only": None if choice.only is None else sorted(choice.only),
    }


_WAITING: Final = ("pending", "approved")
_OVER: Final = ("rejected", "done", "failed", "expired")


class ApprovalQueries(Queries):
    """Requests for approval."""

    def ask_approval(
        self,
        *,
        actor: str,
        request_id: str,
        kind: ApprovalKind,
        group: Literal["refunds", "voids", "tariffs"],
        action_id: str,
        payload: dict[str, Any],
        summary: str,
        reason: str,
        amount_minor: int | None = None,
        currency: str | None = None,
        may_over_limit: bool = True,
    ) -> AskedApproval:
        """Whether an action may be done now; where it needs an approval, it is asked for."""
        asked: dict[str, Any] = {"id": request_id, "kind": kind, "group": group}
        if amount_minor is not None:
            asked |= {"amount_minor": amount_minor, "currency": currency}
        answer = self._call(
            "ask_approval",
            actor=actor,
            action_id=action_id,
            payload=payload,
            summary=summary,
            reason=reason,
            may_over_limit=may_over_limit,
            **asked,
        )
        return AskedApproval.model_validate(answer)

    def decide_approval(
        self, *, actor: str, request_id: str, state: Literal["approved", "rejected"], reason: str
    ) -> ApprovalRequest:
        """Decide on a request, once. Raises NotFound, IllegalChange."""
        answer = self._call(
            "decide_approval", actor=actor, id=request_id, state=state, reason=reason
        )
        return ApprovalRequest.model_validate(answer)

    def end_approval(
        self, *, actor: str, request_id: str, state: Literal["done", "failed"], outcome: str
    ) -> ApprovalRequest:
        """Say what came of an approved request; again, it changes nothing."""
        answer = self._call(
            "end_approval", actor=actor, id=request_id, state=state, outcome=outcome
        )
        return ApprovalRequest.model_validate(answer)

    def approval(self, request_id: str) -> ApprovalRequest:
        """One request; raises NotFound."""
        return ApprovalRequest.model_validate(self._one("approval_list", request_id, "request"))

    def approvals(
        self,
        *,
        waiting: bool,
        kinds: Collection[ApprovalKind] | None = None,
        page: int = 1,
        page_size: int = 25,
    ) -> Page[ApprovalRequest]:
        """Requests, the newest first: those that wait for somebody, or the others.

        `kinds` leaves out all of other kinds.
        """
        filters = [Filter("state", "in_", _WAITING if waiting else _OVER)]
        if kinds is not None:
            filters.append(Filter("kind", "in_", tuple(kinds)))
        rows, total = self._page(
            "approval_list",
            filters=filters,
            order=["asked_at.desc", "id.desc"],
            page=page,
            page_size=page_size,
        )
        items = tuple(ApprovalRequest.model_validate(row) for row in rows)
        return Page(items=items, total=total)
