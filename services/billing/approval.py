"""A person approves drafts, each of which gets its number and is to be paid, or sends them back."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import uuid4

from services.billing.issuing import BillIssuer
from services.database.errors import IllegalChange
from services.database.service import DatabaseService
from services.database.transport import DatabaseError, DatabaseRefused, TemporaryDatabaseError
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.outbox.outbox import Outbox
from services.records.bills import Bill
from services.records.drafts import (
    BillRunResult,
    DraftChoice,
    DraftFilter,
    DraftReview,
    IssueRun,
    Waiting,
)

log = logging.getLogger(__name__)

# Drafts that are issued in one transaction: whoever submits a reading waits for its numbers.
BATCH = 200
_UNEXPECTED = sentence("An unexpected error; the log has the details.")


class DraftsChanged(Exception):
    """The drafts cannot be issued as they were reviewed; nothing was issued."""


@dataclass(frozen=True, slots=True)
class BillApproval:
    """Issues drafts with the utility's terms of payment."""

    database: DatabaseService
    issuer: BillIssuer
    outbox: Outbox

    def issue(self, *, bill_id: str, principal: Principal, now: datetime) -> Bill:
        """Issue a draft at `now` (UTC); a bill that was issued before is answered as it is.

        What it owes to the outside is done in the background. Raises NotAllowed, NotFound, and
        IllegalChange for a void bill, and where something is missing that it must say.
        """
        require(principal, Permission.APPROVE_BILLS)
        issue, terms = self.issuer.issue(now), self.issuer.terms()
        if terms.lacks:
            raise IllegalChange("EB005", terms.lacks)
        _, (bill,) = self.database.issue_bills(
            actor=principal.user,
            bills=[self._with_outbox(bill_id)],
            issued_at=issue.at,
            issued_on=issue.on,
            due_date=issue.due_date,
            no_address=terms.no_address,
        )
        return bill

    def issue_together(self, *, choice: DraftChoice, mark: str, principal: Principal) -> IssueRun:
        """Approve the drafts that were reviewed: they are issued in the background, in batches.

        `mark` is that of the totals that were shown (DraftTotals): if other drafts are chosen by
        now, some are being issued already, or something is missing that each bill must say,
        DraftsChanged is raised and nothing is issued.
        """
        require(principal, Permission.APPROVE_BILLS)
        if lacks := self.issuer.terms().lacks:
            raise DraftsChanged(lacks)
        run_id = str(uuid4())

        def begin() -> IssueRun:
            return self.database.begin_issue_run(
                actor=principal.user, run_id=run_id, choice=choice, mark=mark
            )

        try:
            return begin()
        except TemporaryDatabaseError:
            # Its answer may have been lost; a repeat begins nothing twice.
            return begin()
        except IllegalChange as error:
            raise DraftsChanged(error.message) from None

    def issue_next(self, *, now: datetime) -> IssueRun | None:
        """Issue the next batch of a run that somebody began, at `now` (UTC); None without a run.

        A batch that is refused is issued bill by bill, without the one that cannot be. Each batch
        says how far the run has come, so that another process goes on where one ended.
        """
        try:
            return self._issue_next(BATCH, now)
        except TemporaryDatabaseError:
            raise
        except DatabaseError:
            log.exception("a batch of drafts was refused; they are issued one by one")
        try:
            return self._issue_next(1, now)
        except TemporaryDatabaseError:
            raise
        except DatabaseError as error:
            log.warning("a draft could not be issued: %s", error)
            why = error.message if isinstance(error, DatabaseRefused) else _UNEXPECTED
            return self._issue_next(1, now, skip=why)

    def last_issue_run(self, *, principal: Principal) -> IssueRun | None:
        """The run that is under way, else the one that began last; raises NotAllowed."""
        require(principal, Permission.VIEW_BILLS)
        return self.database.last_issue_run()

    def last_bill_run(self, *, principal: Principal) -> BillRunResult:
        """The bill run that began last, what its preview said, what it made; raises NotAllowed."""
        require(principal, Permission.VIEW_BILLS)
        return self.database.last_bill_run()

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
            raise ReasonMissing(sentence("Say why: the reason is kept with the bill."))
        return self.database.send_back_drafts(
            actor=principal.user, bill_ids=bill_ids, reason=reason.strip()
        )

    def _issue_next(self, limit: int, now: datetime, *, skip: str | None = None) -> IssueRun | None:
        terms = self.issuer.terms()
        return self.database.issue_next(
            limit=limit,
            issue=self.issuer.issue(now),
            outbox=self.outbox.plan_for_any("bill_issued"),
            skip=skip or terms.lacks or None,
            no_address=terms.no_address,
        )

    def _with_outbox(self, bill_id: str) -> Mapping[str, object]:
        outbox = self.outbox.plan(bill_id=bill_id, kind="bill_issued")
        return {"bill_id": bill_id, "owed": outbox}
