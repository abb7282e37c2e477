"""What customers ask of the office on their page, as the office sees, answers and closes it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.records.base import Page
from services.records.customers.pages import CustomerRequest

LONGEST_ANSWER: Final = 1_000


class AnswerMissing(ValueError):
    """The customer must learn what came of it; the sentence says what to write."""


@dataclass(frozen=True, slots=True)
class CustomerRequests:
    """Requests of customers. Each method raises NotAllowed for who may not; `now` is in UTC."""

    database: DatabaseService

    def listed(
        self, *, still_open: bool, principal: Principal, page: int, page_size: int
    ) -> Page[CustomerRequest]:
        """Those that wait, the oldest first, or those that are closed, the last first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.customer_requests(
            still_open=still_open, page=page, page_size=page_size
        )

    def of_customer(self, *, customer_id: str, principal: Principal) -> tuple[CustomerRequest, ...]:
        """The latest of a customer, the last first."""
        require(principal, Permission.VIEW_CUSTOMERS)
        return self.database.customer_requests(customer_id=customer_id).items

    def of_bill(self, *, bill_id: str, principal: Principal) -> tuple[CustomerRequest, ...]:
        """The disputes of a bill, the last first."""
        require(principal, Permission.VIEW_BILLS)
        return self.database.customer_requests(bill_id=bill_id).items

    def close(
        self,
        *,
        request_id: str,
        state: Literal["accepted", "declined"],
        answer: str,
        principal: Principal,
        now: datetime,
    ) -> None:
        """Close a request with a word to the customer; of a dispute the dunning goes on.

        Raises AnswerMissing, NotFound, IllegalChange.
        """
        require(principal, Permission.CHANGE_CUSTOMERS)
        said = " ".join(answer.split())
        if not said:
            raise AnswerMissing(sentence("Write what the customer is to read about it."))
        if len(said) > LONGEST_ANSWER or not said.isprintable():
            raise AnswerMissing(
                sentence(
                    "Write at most {most} printable letters.",
                    most=LONGEST_ANSWER,
                )
            )
        self.database.close_customer_request(
            actor=principal.user, request_id=request_id, state=state, answer=said, at=now
        )
