"""What the graph is made of, and what changed since it was told."""

from collections.abc import Sequence

from services.database.queries.base import Json, Queries


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

    def graph_changes(self, *, limit: int) -> tuple[list[Json], dict[str, list[Json]]]:
        """Bills that changed since the graph was told, and the rows that it needs for them.

        The changes, {bill_id, changed_at}, are for `graph_changes_done`.
        """
        answer = self._call("graph_changes", limit=limit)
        return list(answer["changes"]), dict(answer["rows"])

    def graph_changes_done(self, changes: Sequence[Json]) -> None:
        """Take changes from the queue, but those of bills that changed again meanwhile."""
        self._call("graph_changes_done", changes=list(changes))
