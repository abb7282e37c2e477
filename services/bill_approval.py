"""A person approves a draft: it gets its number, and somebody is asked to pay it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.auth import Principal, Role, require
from services.billing_desk import BillingDesk
from services.database.service import DatabaseService
from services.domain.records import Bill
from services.owed_work import OwedSteps


@dataclass(frozen=True, slots=True)
class BillApproval:
    """Issues drafts with the utility's terms of payment."""

    database: DatabaseService
    desk: BillingDesk
    owed_steps: OwedSteps

    def issue(self, *, bill_id: str, principal: Principal, now: datetime) -> Bill:
        """Issue a draft at `now` (UTC); a bill that was issued before is answered as it is.

        What it owes to the outside is done in the background. Raises NotAllowed, NotFound, and
        IllegalChange for a void bill.
        """
        _, (bill,) = self.issue_together(bill_ids=[bill_id], principal=principal, now=now)
        return bill

    def issue_together(
        self, *, bill_ids: Sequence[str], principal: Principal, now: datetime
    ) -> tuple[int, list[Bill]]:
        """Issue drafts at once, all or none; how many were issued, and the bills.

        Raises as `issue` does.
        """
        require(principal, Role.ADMIN)
        issue = self.desk.issue(now)
        plan = self.owed_steps.plan
        return self.database.issue_bills(
            actor=principal.user,
            bills=[{"bill_id": i, "owed": plan(bill_id=i, kind="bill_issued")} for i in bill_ids],
            issued_at=issue.at,
            issued_on=issue.on,
            due_date=issue.due_date,
        )
