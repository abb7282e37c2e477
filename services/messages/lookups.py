"""What was sent to customers and what could not be, for administrators; and trying it again."""

from dataclasses import dataclass

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.records.base import Page
from services.records.messages import FailedWork, Notification, NotificationStatus


@dataclass(frozen=True, slots=True)
class MessageLookups:
    """Messages and failed work of bills. Each method raises NotAllowed for who is no admin."""

    database: DatabaseService

    def failed_work(self, *, principal: Principal, page: int, page_size: int) -> Page[FailedWork]:
        """Outbox entries that ended with a step refused or given up, the newest first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.failed_work(page=page, page_size=page_size)

    def notifications(
        self,
        *,
        text: str,
        status: NotificationStatus | None,
        principal: Principal,
        page: int,
        page_size: int,
    ) -> Page[Notification]:
        """Messages by bill, occasion and channel that fit, the last changed first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.notifications(text=text, status=status, page=page, page_size=page_size)

    def to_customer(
        self, *, customer_id: str, principal: Principal, page: int, page_size: int
    ) -> Page[Notification]:
        """The messages to one customer, the last changed first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.notifications(customer_id=customer_id, page=page, page_size=page_size)

    def retry(self, *, work_id: str, principal: Principal) -> None:
        """Take failed work up again, in the background.

        Raises NotFound, and IllegalChange when nothing of it can be tried again.
        """
        require(principal, Permission.SEND_MESSAGES)
        self.database.retry_outbox(actor=principal.user, work_id=work_id)
