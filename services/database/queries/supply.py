"""Places of supply: what is asked of them, and changing who is supplied and by which meter."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from services.database.queries.base import Queries
from services.database.transport import Filter
from services.records.base import Page
from services.records.readings import MeterKind, Reading
from services.records.supply import Place, SupplyChange, UnbilledUse


class SupplyQueries(Queries):
    """Service points, agreements, installations."""

    def place(self, service_point_id: str, *, on: date | None = None) -> Place:
        """A place with everything; with `on` its reads of that local date. Raises NotFound."""
        return Place.model_validate(
            self._call(
                "supply_context",
                service_point_id=service_point_id,
                on=on.isoformat() if on else None,
            )
        )

    def reads_at_place(
        self, service_point_id: str, *, after: tuple[str, str] | None = None, limit: int
    ) -> list[Reading]:
        """The accepted reads of all meters while they were at a place, the newest first.

        Up to two more than `limit` where there are older ones; `after` is the time and id of the
        read before the first. Raises NotFound.
        """
        answer = self._call(
            "reads_at_place", service_point_id=service_point_id, after=after, limit=limit
        )
        return [Reading.model_validate(row) for row in answer["rows"]]

    def change_service_point(
        self,
        *,
        actor: str,
        service_point_id: str,
        seen: Mapping[str, Any],
        details: Mapping[str, Any],
        moved_on: date | None = None,
    ) -> None:
        """Change the details of a place from `seen` to `details`, the same fields of each.

        From `moved_on` on it hangs on another transformer; without it what was said of its
        transformer is corrected. Raises NotFound, and IllegalChange when they are not as seen, the
        code is taken, or it was moved on a later day.
        """
        self._call(
            "change_service_point",
            actor=actor,
            service_point_id=service_point_id,
            seen=dict(seen),
            details=dict(details),
            moved_on=None if moved_on is None else moved_on.isoformat(),
        )

    def unbilled_use(
        self, *, service_point_id: str | None = None, page: int = 1, page_size: int = 25
    ) -> Page[UnbilledUse]:
        """What was used while nobody had an agreement, of one place or all, the latest first."""
        of_one = [Filter("service_point_id", "eq", service_point_id)] if service_point_id else []
        rows, total = self._page(
            "unbilled_use_list",
            filters=[Filter("wh", "gt", 0), *of_one],
            order=["since.desc", "service_point_code.asc"],
            page=page,
            page_size=page_size,
        )
        return Page(items=tuple(UnbilledUse.model_validate(row) for row in rows), total=total)

    def supply_change(self, change_id: str) -> SupplyChange | None:
        """One change, None where there is none yet."""
        rows = self._transport.select(
            "supply_changes", filters=[Filter("id", "eq", change_id)], limit=1
        ).rows
        return SupplyChange.model_validate(rows[0]) if rows else None

    def connect_supply(self, *, actor: str, change: Mapping[str, Any]) -> SupplyChange:
        """Connect a customer at a new place, all or nothing; a repeat answers the first.

        `change` is as services/supply/moves.py makes it. Raises IllegalChange with what is wrong.
        """
        return SupplyChange.model_validate(self._call("connect_supply", actor=actor, **change))

    def set_meter_kind(self, *, actor: str, meter_id: str, kind: MeterKind) -> None:
        """How an installed meter is read from now on. Raises NotFound, IllegalChange."""
        self._call("set_meter_kind", actor=actor, meter_id=meter_id, kind=kind)

    def undo_supply_change(
        self, *, actor: str, change_id: str, undo_id: str, reason: str
    ) -> SupplyChange:
        """Take the last change at a place back; a repeat answers the first.

        Raises NotFound, IllegalChange once something was billed by it or changed after it.
        """
        answer = self._call(
            "undo_supply_change", actor=actor, id=undo_id, change_id=change_id, reason=reason
        )
        return SupplyChange.model_validate(answer)

    def supply_with_deposit(
        self,
        *,
        actor: str,
        what: str,
        change: Mapping[str, Any],
        deposit: Mapping[str, Any],
        outbox: Mapping[str, Any] | None = None,
    ) -> SupplyChange:
        """Connect a customer (`what` "connect") or let one move in, and take a deposit, or neither.

        A repeat answers the first. Raises as `connect_supply` and `change_supply` do.
        """
        answer = self._call(
            "supply_with_deposit",
            actor=actor,
            what=what,
            change=dict(change),
            deposit=dict(deposit),
            outbox=outbox,
        )
        return SupplyChange.model_validate(answer)

    def change_supply(self, *, actor: str, change: Mapping[str, Any]) -> SupplyChange:
        """Change who is supplied, or by which meter, all or nothing; a repeat answers the first.

        `change` is as services/supply/plan.py makes it. Raises ChainMoved when the bills are not as
        they were seen, IllegalChange, NotFound.
        """
        return SupplyChange.model_validate(self._call("change_supply", actor=actor, **change))
