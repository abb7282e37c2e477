"""A person approves drafts, each of which gets its number and is to be paid, or sends them back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from services.billing.issuing import BillIssuer
from services.database.errors import IllegalChange
from services.database.service import DatabaseService
from services.database.transport import TemporaryDatabaseError
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.outbox.outbox import Outbox
from services.records.bills import Bill
from services.records.drafts import (
    ChosenDraft,
    DraftChoice,
    DraftFilter,
    DraftReview,
    Waiting,
)

# Drafts that are issued in one transaction.
BATCH = 500

Progress = Callable[[int, int], None]


def _unobserved(_done: int, _of: int) -> None:
    """Nobody watches."""


class DraftsChanged(Exception):
    """The drafts are no longer those that were reviewed; nothing was issued."""


@dataclass(frozen=True, slots=True)
class IssuedTogether:
    """How many drafts were issued, under which numbers; `stopped` says why not all were."""

    number: int
    of: int
    first_number: int | None = None
    last_number: int | None = None
    stopped: str = ""

    def with_batch(self, *, number: int, first: int, last: int) -> "IssuedTogether":
        """With another batch, of later numbers."""
        return replace(
            self,
            number=self.number + number,
            first_number=self.first_number or first,
            last_number=last,
        )


@dataclass(frozen=True, slots=True)
class BillApproval:
    """Issues drafts with the utility's terms of payment."""

    database: DatabaseService
    issuer: BillIssuer
    outbox: Outbox

    def issue(self, *, bill_id: str, principal: Principal, now: datetime) -> Bill:
        """Issue a draft at `now` (UTC); a bill that was issued before is answered as it is.

        What it owes to the outside is done in the background. Raises NotAllowed, NotFound, and
        IllegalChange for a void bill.
        """
        require(principal, Permission.APPROVE_BILLS)
        issue = self.issuer.issue(now)
        _, (bill,) = self.database.issue_bills(
            actor=principal.user,
            bills=[self._with_outbox(bill_id)],
            issued_at=issue.at,
            issued_on=issue.on,
            due_date=issue.due_date,
        )
        return bill

    def issue_together(
        self,
        *,
        choice: DraftChoice,
        mark: str,
        principal: Principal,
        now: datetime,
        progress: Progress = _unobserved,
    ) -> IssuedTogether:
        """Issue the drafts that were reviewed, batch by batch, each all or none.

        `mark` is that of the totals that were shown (DraftTotals): if other drafts are chosen by
        now, DraftsChanged is raised and nothing issued. Drafts that somebody takes away meanwhile
        stop it at their batch. `progress` is told how many are issued, of how many.
        """
        require(principal, Permission.APPROVE_BILLS)
        found, drafts = self.database.draft_choice(choice)
        if found != mark:
            raise DraftsChanged("The drafts have changed since their totals were shown.")
        outcome = IssuedTogether(0, len(drafts))
        for batch in _batches(drafts):
            try:
                first, last = self._issue_batch(batch, principal, now)
            except (IllegalChange, TemporaryDatabaseError) as error:
                if outcome.number == 0:
                    raise _as_nothing_issued(error) from None
                return replace(outcome, stopped=_why_stopped(error))
            outcome = outcome.with_batch(number=len(batch), first=first, last=last)
            progress(outcome.number, outcome.of)
        return outcome

    def waiting(self, *, principal: Principal) -> tuple[Waiting, ...]:
        """How many drafts there are, by month, tariff and currency; raises NotAllowed."""
        require(principal, Permission.VIEW_BILLS)
        return self.database.draft_totals(DraftChoice(only=frozenset())).waiting

    def review(
        self,
        *,
        fitting: DraftFilter,
        choice: DraftChoice,
        compare: Sequence[date],
        principal: Principal,
        page: int,
        page_size: int,
    ) -> DraftReview:
        """What issuing the `choice` would bill, and a page of the drafts that fit, newest first.

        With what was issued for the months `compare` (their 1sts). Raises NotAllowed.
        """
        require(principal, Permission.VIEW_BILLS)
        return DraftReview(
            totals=self.database.draft_totals(choice, compare=compare),
            drafts=self.database.drafts(fitting, page=page, page_size=page_size),
        )

    def send_back(self, *, bill_ids: Sequence[str], reason: str, principal: Principal) -> int:
        """Void drafts, all or none: their readings stay accepted and are billed again; how many.

        Raises ReasonMissing, NotFound, and IllegalChange for one that was issued meanwhile.
        """
        require(principal, Permission.PREPARE_BILLS)
        if not reason.strip():
            raise ReasonMissing("Say why: the reason is kept with the bill.")
        return self.database.send_back_drafts(
            actor=principal.user, bill_ids=bill_ids, reason=reason.strip()
        )

    def _issue_batch(
        self, batch: Sequence[ChosenDraft], principal: Principal, now: datetime
    ) -> tuple[int, int]:
        """One transaction, tried a second time where its answer was lost."""
        issue = self.issuer.issue(now)
        bills = [self._with_outbox(draft.id) for draft in batch]

        def once() -> tuple[int, int]:
            return self.database.issue_expected(
                actor=principal.user,
                bills=bills,
                issue=issue,
                expected=_expected(batch),
            )

        try:
            return once()
        except TemporaryDatabaseError:
            return once()

    def _with_outbox(self, bill_id: str) -> Mapping[str, object]:
        outbox = self.outbox.plan(bill_id=bill_id, kind="bill_issued")
        return {"bill_id": bill_id, "owed": outbox}


def _batches(drafts: Sequence[ChosenDraft]) -> Iterator[Sequence[ChosenDraft]]:
    for start in range(0, len(drafts), BATCH):
        yield drafts[start : start + BATCH]


def _expected(batch: Sequence[ChosenDraft]) -> dict[str, dict[str, int]]:
    """How many drafts of each currency, and what they add up to."""
    sums: dict[str, dict[str, int]] = {}
    for _, currency, total in batch:
        of_one = sums.setdefault(currency, {"number": 0, "total_minor": 0})
        of_one["number"] += 1
        of_one["total_minor"] += total
    return sums


def _as_nothing_issued(error: IllegalChange | TemporaryDatabaseError) -> Exception:
    return DraftsChanged(error.message) if isinstance(error, IllegalChange) else error


def _why_stopped(error: IllegalChange | TemporaryDatabaseError) -> str:
    if isinstance(error, IllegalChange):
        return error.message
    return "The database could not be reached."
