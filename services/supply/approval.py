"""A change of supply that lowers issued bills, as a request that a second person decides on."""

from typing import Any, Final, get_args

from pydantic import TypeAdapter

from services.approvals.asking import pass_or_ask
from services.database.service import DatabaseService
from services.identity.auth import Principal
from services.languages.sentence import N_, sentence
from services.quantities.money import Money
from services.records.corrections import name_of
from services.records.supply import SupplyChangeKind
from services.supply.changes import Change
from services.supply.plan import SupplyPlan

_KINDS: Final = {kind.__name__: TypeAdapter(kind) for kind in get_args(Change)}
_WORDS: Final[dict[SupplyChangeKind, str]] = {
    "move_out": N_("Move out at {place}"),
    "move_in": N_("Move in at {place}"),
    "stay": N_("Take back the move out at {place}"),
    "exchange": N_("Exchange the meter at {place}"),
    "multiplier": N_("Other multiplier at {place}"),
    "tariff": N_("Other tariff at {place}"),
    "disconnect": N_("Disconnect at {place}"),
    "reconnect": N_("Reconnect at {place}"),
    "not_disconnected": N_("Take back the disconnection at {place}"),
    "not_reconnected": N_("Take back the reconnection at {place}"),
}


def lowers_bills(plan: SupplyPlan) -> bool:
    """Whether a customer would have to pay less for bills that were issued."""
    return plan.difference_minor < 0


def pass_or_ask_for(
    plan: SupplyPlan,
    change: Change,
    *,
    database: DatabaseService,
    change_id: str,
    previewed: str,
    reason: str,
    acknowledged: bool,
    principal: Principal,
) -> None:
    """`pass_or_ask` for a change that lowers bills; any other may always be done."""
    if not lowers_bills(plan):
        return
    pass_or_ask(
        database,
        "supply",
        action_id=change_id,
        payload={
            "change": change_to_json(change),
            "previewed": previewed,
            "acknowledged": acknowledged,
            "reason": reason,
        },
        summary=_in_words(plan),
        reason=reason,
        principal=principal,
    )


def change_to_json(change: Change) -> dict[str, Any]:
    """A change as JSON, with what it is called."""
    what = type(change).__name__
    return {"what": what, **_KINDS[what].dump_python(change, mode="json")}


def change_of(said: dict[str, Any]) -> Change:
    """What `change_to_json` wrote."""
    values = {name: value for name, value in said.items() if name != "what"}
    made: Change = _KINDS[said["what"]].validate_python(values)
    return made


def _in_words(plan: SupplyPlan) -> str:
    bills = [bill for change in plan.changes for bill in change.affected.bills]
    names = ", ".join(name_of(bill.number) for bill in bills if bill.stored_status == "issued")
    where = plan.place.point.code if plan.place else "–"
    return sentence(
        "{change}, which changes {bills}: the customer owes {amount} less",
        change=sentence(_WORDS[plan.kind], place=where),
        bills=names,
        amount=Money(-plan.difference_minor, bills[0].currency),
    )
