"""Drafts under review, and requests for approval: listed, decided on."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, Literal

from services.database.queries.base import Queries, escape_like
from services.database.transport import Filter
from services.languages.sentence import N_
from services.records.base import COUNTED_TO, Page
from services.records.bills import Issue
from services.records.drafts import (
    ApprovalKind,
    ApprovalRequest,
    AskedApproval,
    BillRunResult,
    Draft,
    DraftChoice,
    DraftFilter,
    DraftTotals,
    IssueRun,
)


class DraftQueries(Queries):
    """Bills that wait to be issued by the office."""

    def drafts(self, fitting: DraftFilter, *, page: int = 1, page_size: int = 25) -> Page[Draft]:
        """Drafts, newest period first."""
        answer = self._call(
            "list_drafts",
            **_params(DraftChoice(fitting)),
            limit=page_size,
            offset=(page - 1) * page_size,
            count_to=COUNTED_TO,
        )
        items = tuple(Draft.model_validate(row) for row in answer["rows"])
        return Page(items=items, total=answer["total"])

    def draft_totals(self, choice: DraftChoice, *, compare: Sequence[date] = ()) -> DraftTotals:
        """What issuing the chosen drafts would bill, by currency; and what was issued for months.

        `compare` are the months' 1sts.
        """
        months = [month.isoformat() for month in compare]
        answer = self._call("draft_totals", **_params(choice), compare=months)
        return DraftTotals.model_validate(answer)

    def begin_issue_run(
        self, *, actor: str, run_id: str, choice: DraftChoice, mark: str
    ) -> IssueRun:
        """Have the chosen drafts issued by `issue_next`; again with the id, nothing is begun.

        Raises IllegalChange when `mark` is not that of the chosen ones' totals any more, or some
        of them are in a run already.
        """
        asked = {**_params(choice), "id": run_id, "mark": mark}
        return IssueRun.model_validate(self._call("begin_issue_run", actor=actor, **asked))

    def issue_next(
        self,
        *,
        limit: int,
        issue: Issue,
        outbox: Mapping[str, Any],
        skip: str | None = None,
        no_address: str = "",
    ) -> IssueRun | None:
        """Issue the next drafts of a run, all or none; how it stands then, None without a run.

        With `skip` they are passed over instead, for that reason; with `no_address` those that
        could not say where the supply is, for that one.
        """
        answer = self._call(
            "issue_next",
            limit=limit,
            issued_at=issue.at.isoformat(),
            issued_on=issue.on.isoformat(),
            due_date=issue.due_date.isoformat(),
            outbox=outbox,
            skip=skip,
            no_address=no_address or None,
        )
        return _run(answer)

    def last_issue_run(self) -> IssueRun | None:
        """The issue run that is under way, else the one that began last."""
        return _run(self._call("last_issue_run"))

    def last_bill_run(self) -> BillRunResult:
        """The bill run that began last, with its preview and what it made."""
        return BillRunResult.model_validate(self._call("last_bill_run"))

    def save_bill_run_preview(
        self,
        *,
        actor: str,
        on: date,
        at: datetime,
        looked_at: int,
        whole: bool,
        totals: Sequence[Mapping[str, Any]],
    ) -> None:
        """Keep what the run of a local date was to make, in place of what was kept before."""
        self._call(
            "save_bill_run_preview",
            actor=actor,
            scheduled_on=on.isoformat(),
            worked_out_at=at.isoformat(),
            looked_at=looked_at,
            whole=whole,
            totals=[dict(one) for one in totals],
        )

    def send_back_drafts(self, *, actor: str, bill_ids: Sequence[str], reason: str) -> int:
        """Void drafts, all or none, so that their readings are billed again; how many.

        Raises NotFound, and IllegalChange for one that was issued or that a later bill follows.
        """
        answer = self._call("send_back_drafts", actor=actor, bills=list(bill_ids), reason=reason)
        return int(answer["sent_back"])


def _run(answer: Mapping[str, Any]) -> IssueRun | None:
    return IssueRun.model_validate(answer["run"]) if answer["run"] else None


def _params(choice: DraftChoice) -> dict[str, Any]:
    """A choice as a function takes it."""
    fitting = choice.fitting
    return {
        "month": fitting.month.isoformat() if fitting.month else None,
        "tariff": fitting.tariff,
        "currency": fitting.currency,
        "outliers": fitting.outliers_only,
        "of_last_run": fitting.of_last_run,
        "without_held": fitting.without_held,
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
        return ApprovalRequest.model_validate(
            self._one("approval_list", request_id, N_("No such request."))
        )

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
