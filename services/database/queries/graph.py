"""What the graph is made of, and what changed since it was updated."""

from collections.abc import Sequence
from typing import Final

from services.database.queries.base import Json, Queries

_ADDING_SECONDS: Final = 1800.0


class GraphQueries(Queries):
    """Rows for the graph; no name, phone or address of a person is among them."""

    def graph_rows(self, *, what: str, after: str | None, limit: int) -> list[Json]:
        """A page of what the graph is made of, by id, those after the id `after`.

        `what` is feeders, transformers, customers, service_points, agreements, meters, tariffs
        (their versions), readings, bills, payments or supplies. Ids and dates are texts, energy
        Wh, money minor units.
        """
        answer = self._call("graph_rows", what=what, after=after, limit=limit)
        return list(answer["rows"])

    def graph_rows_of_bill(self, bill_id: str) -> dict[str, list[Json]]:
        """What the graph needs for one bill, by kind as in `graph_rows`; raises NotFound."""
        answer: dict[str, list[Json]] = self._call("graph_rows_of_bill", bill_id=bill_id)
        return answer

    def graph_totals(self) -> dict[str, int]:
        """How many rows there are of each kind of `graph_rows`."""
        return {what: found["rows"] for what, found in self.graph_sums().items()}

    def graph_sums(self) -> dict[str, dict[str, int]]:
        """By kind: {rows, sum}, the sum of register_wh, total_minor, amount_minor or energy_wh.

        A kind with nothing to add up has no sum. All rows are read, minutes long of millions.
        """
        answer: dict[str, dict[str, int]] = self._ask("graph_totals", {}, seconds=_ADDING_SECONDS)
        return answer

    def graph_changes(self, *, limit: int) -> tuple[list[Json], dict[str, list[Json]]]:
        """Bills that changed since the graph was updated, and the rows that it needs for them.

        The changes, {bill_id, changed_at}, are for `graph_changes_done`.
        """
        answer = self._call("graph_changes", limit=limit)
        return list(answer["changes"]), dict(answer["rows"])

    def graph_changes_done(self, changes: Sequence[Json]) -> None:
        """Take changes from the queue, but those of bills that changed again meanwhile."""
        self._call("graph_changes_done", changes=list(changes))

    def graph_backlog(
        self, *, limit: int, at_least: int
    ) -> tuple[list[Json], dict[str, list[Json]]]:
        """Outbox entries whose step 8 waits and that nobody works on, with the rows of their bills.

        Each {id, bill_id}. Fewer than `at_least` are none.
        """
        answer = self._call("graph_backlog", limit=limit, at_least=at_least)
        return list(answer["work"]), dict(answer["rows"])

    def graph_backlog_done(self, *, actor: str, work: Sequence[str], detail: str) -> int:
        """End step 8 of entries by their ids, but of those that somebody took up; how many."""
        answer = self._call("graph_backlog_done", actor=actor, work=list(work), detail=detail)
        return int(answer["done"])
