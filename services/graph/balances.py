"""The energy balance of each supply period: worked out from its bills once, then kept with it.

What changes at a transformer's places makes its balances be forgotten, in the same transaction.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from services.graph import cypher
from services.graph.bolt import SLOW, Bolt, Statement
from services.graph.shapes import Json
from services.integrations.http import TIMEOUT_SECONDS, ServiceUnavailable

# Supply periods that one question is of, and of which one look is.
AT_ONCE: Final = 10
KEPT_AT_ONCE: Final = 2_000
# A change that began before a balance was marked has ended by then.
SETTLED_MS: Final = round(2_000 * TIMEOUT_SECONDS)
_ADDED: Final = ("billed_wh", "exported_wh", "meters", "unread")
# Of these kinds a change may be one of what was billed or measured at a place.
_MEASURED: Final = ("service_points", "agreements", "bills")


def forgetting(rows: Mapping[str, Sequence[Json]], *, before: bool) -> Iterator[Statement]:
    """Lets the balances be forgotten that rows are about; a place may change its transformer.

    So that is to be done `before` these are written, and after it.
    """
    for what in _MEASURED:
        # A bill stays where it is.
        if rows.get(what) and not (before and what == "bills"):
            ids = [row["id"] for row in rows[what]]
            yield Statement(cypher.FORGET_BALANCES[what], {"ids": ids})


class Balances:
    """Asks for balances and keeps them."""

    def __init__(self, bolt: Bolt) -> None:
        self._bolt = bolt

    def between(self, *, since: int, until: int) -> list[Json]:
        """Those of all supply periods that touch some days, [since, until) since 1970-01-01."""
        found = self._bolt.read(cypher.SUPPLIES, since=since, until=until)
        unkept = [row["supply_id"] for row in found if row["billed_wh"] is None]
        worked_out = {row["supply_id"]: row for row in self._worked_out(unkept)}
        all_of_them = (row | worked_out.get(row["supply_id"], {}) for row in found)
        # One that vanished meanwhile has none.
        return [row for row in all_of_them if row["billed_wh"] is not None]

    def keep(self, *, settled_ms: int = SETTLED_MS) -> int:
        """Work out balances that are not kept, some at a time; how many are now.

        Each is marked first and worked out so long after: a change that comes after the mark
        takes the mark away, one from before can be seen by then.
        """
        found = self._bolt.read(cypher.UNKEPT_BALANCES, limit=KEPT_AT_ONCE)
        fresh = [row["id"] for row in found if row["marked"] is None]
        if fresh:
            self._bolt.write([Statement(cypher.MARK_BALANCES, {"ids": fresh})])
        marks = {
            row["id"]: row["marked"]
            for row in found
            if row["marked"] is not None and row["marked"] + settled_ms <= row["now"]
        }
        kept = 0
        for row in self._worked_out(list(marks)):
            values = {**row, "marked": marks[row["supply_id"]]}
            kept += self._bolt.write([Statement(cypher.KEEP_BALANCE, values)])
        return kept

    def _worked_out(self, supplies: Sequence[str]) -> Iterator[dict[str, Any]]:
        start, size = 0, AT_ONCE
        while start < len(supplies):
            ids = supplies[start : start + size]
            try:
                rows = self._bolt.read(cypher.ENERGY_BALANCE, ids=ids)
                moved = self._bolt.read(cypher.EARLIER_BALANCE, ids=ids)
            except ServiceUnavailable as failure:
                if str(failure) != SLOW or size == 1:
                    raise
                size = -(-size // 2)
                continue
            earlier = {row["supply_id"]: row for row in moved}
            yield from (_added(row, earlier.get(row["supply_id"], {})) for row in rows)
            start += size


def _added(row: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The balance of the places that hang there, and what those had that hung there before."""
    return dict(row) | {name: row[name] + more.get(name, 0) for name in _ADDED}
