"""Autopay as the office sees it: what is charged next, what failed and why, the policy."""

from dataclasses import dataclass

from services.autopay.rules import check_policy
from services.autopay.signing_up import AutopaySignUp
from services.database.errors import NotFound
from services.database.queries.base import is_uuid
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.payments.reversals import given
from services.records.customers.autopay import (
    AutopayOfCustomer,
    AutopayPolicy,
    Charge,
    ChargesAfter,
    Mandate,
)

PAGE = 50


@dataclass(frozen=True, slots=True)
class AutopayOffice:
    """What people of the utility see and do. Each method raises NotAllowed."""

    database: DatabaseService
    sign_up: AutopaySignUp

    def of_customer(self, *, customer_id: str, principal: Principal) -> AutopayOfCustomer:
        """How a customer's autopay stands, with its last charges.

        `customer_id` may be an account number too. Raises NotFound.
        """
        require(principal, Permission.VIEW_CUSTOMERS)
        if not is_uuid(customer_id):
            page = self.database.customer_page_numbered(customer_id)
            if page is None:
                raise NotFound("EB404", sentence("No such customer."))
            customer_id = page.customer_id
        return self.database.autopay.of_customer(customer_id)

    def end(
        self, *, mandate_id: str, customer_id: str, reason: str, principal: Principal
    ) -> Mandate:
        """End a customer's autopay at once; raises ReasonMissing, NotFound."""
        require(principal, Permission.CHANGE_CUSTOMERS)
        return self.sign_up.end(
            mandate_id=mandate_id,
            customer_id=customer_id,
            actor=principal.user,
            because=given(reason),
        )

    def upcoming(
        self, *, principal: Principal, after: ChargesAfter | None = None, limit: int = PAGE
    ) -> tuple[list[Charge], ChargesAfter | None]:
        """What is charged next, by day; where the next page begins."""
        require(principal, Permission.VIEW_PAYMENTS)
        return self.database.autopay.upcoming(after=after, limit=limit)

    def over(
        self, *, principal: Principal, after: ChargesAfter | None = None, limit: int = PAGE
    ) -> tuple[list[Charge], ChargesAfter | None]:
        """What was charged, failed or dropped, the last first; where the next page begins."""
        require(principal, Permission.VIEW_PAYMENTS)
        return self.database.autopay.over(after=after, limit=limit)

    def policy(self, *, principal: Principal) -> AutopayPolicy:
        """The policy that holds."""
        require(principal, Permission.VIEW_PAYMENTS)
        return self.database.autopay.policy()

    def publish(
        self, policy: AutopayPolicy, *, seen_version: int, principal: Principal
    ) -> AutopayPolicy:
        """Add a version, which holds at once; the same id again answers the first.

        Raises InvalidAutopay, and IllegalChange where somebody has added one since
        `seen_version`.
        """
        require(principal, Permission.CHANGE_DUNNING)
        check_policy(policy)
        return self.database.autopay.publish_policy(
            actor=principal.user, policy=policy, seen_version=seen_version
        )
