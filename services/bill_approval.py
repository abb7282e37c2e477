"""A person approves a draft: it gets its number, and somebody is asked to pay it."""

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
        require(principal, Role.ADMIN)
        issue = self.desk.issue(now)
        return self.database.issue_bill(
            actor=principal.user,
            bill_id=bill_id,
            issued_at=issue.at,
            issued_on=issue.on,
            due_date=issue.due_date,
            owed=self.owed_steps.plan(bill_id=bill_id, kind="bill_issued"),
        )
