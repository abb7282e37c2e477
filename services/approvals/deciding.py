"""Requests for approval in the hands of a second person, who approves or rejects them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from services.database.errors import IllegalChange
from services.database.service import DatabaseService
from services.database.transport import DatabaseRefused
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import NotAllowed, Principal, require
from services.identity.permissions import Permission
from services.integrations.failures import FinalFailure
from services.languages.sentence import N_, sentence
from services.records.base import Page
from services.records.drafts import ApprovalKind, ApprovalRequest

# Does what was asked for, as the service does it: (request, by whom, now).
Action = Callable[[ApprovalRequest, Principal, datetime], object]

_NEEDS: Final[Mapping[ApprovalKind, Permission]] = {
    "refund": Permission.REFUND_PAYMENTS,
    "refund_again": Permission.REFUND_PAYMENTS,
    "payout": Permission.REFUND_PAYMENTS,
    "correction": Permission.VOID_BILLS,
    "credit": Permission.ADJUST_ACCOUNTS,
    "waiver": Permission.ADJUST_ACCOUNTS,
    "tariff": Permission.PUBLISH_TARIFFS,
    "tariff_correction": Permission.VOID_BILLS,
    "supply": Permission.VOID_BILLS,
}
_REFUSALS: Final[tuple[type[Exception], ...]] = (
    *(DatabaseRefused, ValueError, NotAllowed, FinalFailure),
)
_AT_ONCE: Final = 100
_OWN: Final = N_("Somebody else must decide on what you asked for.")


def permission_to_decide(request: ApprovalRequest) -> Permission:
    """What somebody must be allowed to do in order to approve the request."""
    return Permission.REFUND_OVER_LIMIT if request.over_limit else _NEEDS[request.kind]


@dataclass(frozen=True, slots=True)
class Approvals:
    """Lists requests and decides on them. Each method raises NotAllowed.

    `actions` do what was asked for; what they raise of `refusals` says that it cannot be done any
    more, as do refusals of the database.
    """

    database: DatabaseService
    actions: Mapping[ApprovalKind, Action]
    refusals: tuple[type[Exception], ...] = ()

    def listed(
        self, *, waiting: bool, principal: Principal, page: int, page_size: int
    ) -> Page[ApprovalRequest]:
        """Requests, the newest first: those that wait for somebody, or the others."""
        require(principal, Permission.VIEW_BILLS)
        return self.database.approvals(waiting=waiting, page=page, page_size=page_size)

    def about(
        self,
        kinds: Collection[ApprovalKind],
        things: Collection[str] | None,
        *,
        principal: Principal,
    ) -> list[ApprovalRequest]:
        """Requests of these kinds that wait, about any of these things, or all; the newest first.

        A thing is the id of a bill, payment, customer, return or place, or a tariff's code. Empty
        for whoever may not see requests.
        """
        if not principal.may(Permission.VIEW_BILLS):
            return []
        found: list[ApprovalRequest] = []
        page = 1
        while True:
            some = self.database.approvals(waiting=True, kinds=kinds, page=page, page_size=_AT_ONCE)
            found += some.items
            if page * _AT_ONCE >= some.total:
                break
            page += 1
        return [one for one in found if things is None or not _subjects(one).isdisjoint(things)]

    def may_decide(self, request: ApprovalRequest, *, principal: Principal) -> bool:
        """Whether the request waits for somebody such as `principal`."""
        require(principal, Permission.VIEW_BILLS)
        return (
            request.state in {"pending", "approved"}
            and principal.may(permission_to_decide(request))
            and not _is_own(request, principal)
        )

    def approve(
        self, *, request_id: str, reason: str, principal: Principal, now: datetime
    ) -> ApprovalRequest:
        """Approve a request and do what it asks for; `state` says what came of it.

        "failed" has the reason in `outcome`: things changed since it was asked for, and nothing
        was done. One that was approved and not done, because something was away, is done now.
        Raises NotFound, IllegalChange, and what says that trying again may help.
        """
        request = self._decidable(request_id, principal)
        # The database says of an expired one that it is.
        if request.state in {"pending", "expired"}:
            request = self.database.decide_approval(
                actor=principal.user, request_id=request_id, state="approved", reason=reason.strip()
            )
        if request.state != "approved":
            raise IllegalChange("EB005", sentence("This request was decided on already."))
        both = replace(
            principal, user=f"{request.asked_by} (approved by {request.decided_by})", session=None
        )
        try:
            self.actions[request.kind](request, both, now)
        except (*_REFUSALS, *self.refusals) as error:
            return self.database.end_approval(
                actor=principal.user, request_id=request_id, state="failed", outcome=str(error)
            )
        return self.database.end_approval(
            actor=principal.user, request_id=request_id, state="done", outcome=""
        )

    def reject(self, *, request_id: str, reason: str, principal: Principal) -> ApprovalRequest:
        """Reject a request with a reason. Raises ReasonMissing, NotFound, IllegalChange."""
        self._decidable(request_id, principal)
        if not reason.strip():
            raise ReasonMissing(sentence("Say why: whoever asked for it reads it."))
        return self.database.decide_approval(
            actor=principal.user, request_id=request_id, state="rejected", reason=reason.strip()
        )

    def _decidable(self, request_id: str, principal: Principal) -> ApprovalRequest:
        require(principal, *_NEEDS.values())
        if principal.via == "api_key":
            raise NotAllowed(sentence("A person decides on this, not a program."))
        request = self.database.approval(request_id)
        require(principal, permission_to_decide(request))
        if _is_own(request, principal):
            raise NotAllowed(_OWN)
        return request


def _is_own(request: ApprovalRequest, principal: Principal) -> bool:
    return request.asked_by.casefold() == principal.user.casefold()


def _subjects(request: ApprovalRequest) -> set[str]:
    payload = request.payload
    found = {payload.get(name) for name in ("payment_id", "customer_id", "return_id")}
    found |= {payload.get("wrong", {}).get("bill_id"), payload.get("tariff", {}).get("code")}
    found.add(payload.get("change", {}).get("service_point_id"))
    return {one for one in found if one}
