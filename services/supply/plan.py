"""The plan of a change of supply: which bills it makes and reissues, and what is stored."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from services.corrections.bill_changes import BillChange
from services.metering.outcomes import Validation
from services.records.bills import NewBill
from services.records.corrections import BillChain
from services.records.supply import Place, SupplyChangeKind

SUPPLY: Final = uuid5(NAMESPACE_URL, "electricity-billing/supply")


@dataclass(frozen=True, slots=True)
class SupplyPlan:
    """What a change would do; nothing of it is stored.

    `changes` are bills that are voided, and reissued or not; `bills` are new ones beside them.
    `doubts` are what the rules say of the readings.
    """

    kind: SupplyChangeKind
    rows: Mapping[str, Any]
    place: Place | None = None
    chain: BillChain | None = None
    chain_from: str = ""
    changes: tuple[BillChange, ...] = ()
    bills: tuple[NewBill, ...] = ()
    doubts: tuple[str, ...] = ()
    # That bills are reissued which reach back further than usual rules allow; empty otherwise.
    warning: str = ""
    # The payment of a deposit that is taken with it, in minor units.
    deposit: Mapping[str, Any] | None = None

    @property
    def difference_minor(self) -> int:
        """What the customer will have to pay more for bills that are reissued; below 0, less."""
        return sum(change.due_minor for change in self.changes)

    @property
    def made(self) -> list[NewBill]:
        """All bills that it stores, in order."""
        reissued = [change.new for change in self.changes if change.new]
        return sorted([*reissued, *self.bills], key=lambda bill: bill.opening.read_at)

    @property
    def fingerprint(self) -> str:
        """Two plans with the same do the same."""
        said = [self.kind, _without_ids(self.rows), self.doubts, _without_ids(self.deposit)]
        said.append(self.warning)
        said.append([_figures(bill) for bill in self.made])
        said.append([b.id for c in self.changes for b in c.affected.bills])
        return hashlib.sha256(json.dumps(said, default=str, sort_keys=True).encode()).hexdigest()


def doubts_of(*validations: Validation) -> tuple[str, ...]:
    """What the rules doubt, each once."""
    found = (o.message for v in validations for o in v.outcomes if o.outcome in ("review", "warn"))
    return tuple(dict.fromkeys(found))


def chain_as_seen(chain: BillChain, since: str) -> list[str]:
    """The bills from a local date on, as the database is to find them."""
    return [
        f"{bill.id} {bill.stored_status}"
        for bill in chain.bills
        if bill.period_start.isoformat() >= since
    ]


def touched(changes: Iterable[BillChange]) -> list[dict[str, str | None]]:
    """Which bill takes the place of which."""
    return [
        {"void": bill.id, "new": change.new.id if change.new else None}
        for change in changes
        for bill in change.affected.bills
    ]


def _figures(bill: NewBill) -> Sequence[Any]:
    said = bill.to_json()
    kept = ("status", "period_start", "period_end", "opening_wh", "closing_wh", "currency", "lines")
    return [said[name] for name in kept]


def _without_ids(rows: Any) -> Any:
    """Without what differs each time: ids, the time of day of now, and who asks."""
    if isinstance(rows, Mapping):
        dropped = {"id", "closing_reading_id", "opening_reading_id", "read_at", "removed_at"}
        dropped |= {"installed_at", "opened_at", "decision_reason", "received_at", "submitted_by"}
        return {k: _without_ids(v) for k, v in rows.items() if k not in dropped}
    if isinstance(rows, list | tuple):
        return [_without_ids(row) for row in rows]
    return rows
