"""How reports are asked for: spans of local dates, and pages by the posting or key before them."""

from datetime import date
from typing import TypeVar

from services.database.queries.base import Json, Queries
from services.records.base import Record
from services.records.reports.journal import Posting

Of = TypeVar("Of", bound=Record)


class SpanQueries(Queries):
    """Questions about [start, until), a page of which begins after a posting."""

    def _span(
        self, function: str, start: date, until: date, after: Posting | None = None, limit: int = 0
    ) -> Json:
        params: Json = {"from": start.isoformat(), "to": until.isoformat()}
        if limit:
            params["limit"] = limit
        if after is not None:
            params["after"] = {"on": after.on_date.isoformat(), "no": after.posting_no}
        answer: Json = self._call(function, **params)
        return answer


def records(rows: list[Json], kind: type[Of]) -> list[Of]:
    """The rows of an answer as records."""
    return [kind.model_validate(row) for row in rows]


def posting(after: Json | None) -> Posting | None:
    """After which posting the next page begins."""
    return Posting(date.fromisoformat(after["on"]), int(after["no"])) if after else None
