"""Asked before each action that may need a second person: whether it may be done now."""

from datetime import date
from typing import Any, Final, Literal
from uuid import uuid4

from services.database.errors import IllegalChange
from services.database.service import DatabaseService
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.quantities.money import Money
from services.records.drafts import ApprovalKind

Group = Literal["refunds", "voids", "tariffs"]
GROUP_OF: Final[dict[ApprovalKind, Group]] = {
    "refund": "refunds",
    "refund_again": "refunds",
    "payout": "refunds",
    "correction": "voids",
    "credit": "voids",
    "waiver": "voids",
    "tariff": "tariffs",
    "tariff_correction": "tariffs",
    "supply": "voids",
}


class AwaitsApproval(IllegalChange):
    """It was not done: it is stored as a request that somebody else decides on."""


def pass_or_ask(
    database: DatabaseService,
    kind: ApprovalKind,
    *,
    action_id: str,
    payload: dict[str, Any],
    summary: str,
    reason: str,
    principal: Principal,
    amount: Money | None = None,
) -> None:
    """Return when the action may be done now: nothing asks for a second person, or one approved.

    Otherwise the request is stored, once, and AwaitsApproval raised. `action_id` is the id of the
    row that the action makes, `payload` all that it takes, as JSON; `amount` is what goes back to
    a customer, and needs a manager where it and that of the last 30 days pass the settings' limit.
    """
    asked = database.ask_approval(
        actor=principal.user,
        request_id=str(uuid4()),
        kind=kind,
        group=GROUP_OF[kind],
        action_id=action_id,
        payload=payload,
        summary=summary,
        reason=reason,
        amount_minor=amount.minor if amount else None,
        currency=amount.currency if amount else None,
        may_over_limit=principal.may(Permission.REFUND_OVER_LIMIT),
    )
    if asked.state == "pending":
        raise AwaitsApproval(
            "EB005",
            sentence("It waits for the approval of a second person: see Approvals.")
            if asked.same
            else sentence("Another request for it waits already: see Approvals."),
        )
    if asked.state == "approved" and not asked.same:
        raise IllegalChange("EB005", sentence("Something else was approved: see Approvals."))


def ask_for_version(
    database: DatabaseService, version_id: str, definition: dict[str, Any], principal: Principal
) -> None:
    """`pass_or_ask` for publishing a version of a tariff, from a form or a file."""
    begins = date.fromisoformat(definition["effective_from"])
    pass_or_ask(
        database,
        "tariff",
        action_id=version_id,
        payload={"tariff": definition},
        summary=sentence(
            "Publish tariff {tariff} from {day}", tariff=definition["code"], day=begins
        ),
        reason="",
        principal=principal,
    )
