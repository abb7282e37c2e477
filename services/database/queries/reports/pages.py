"""How reports are asked for: spans of local dates, and pages by the posting or key before them."""

import time
from datetime import date
from typing import Final, TypeVar

from services.database.errors import StillWorkingOut
from services.database.queries.base import Json, Queries
from services.languages.sentence import sentence
from services.records.base import Record
from services.records.reports.journal import Posting

# So long a question works at what is not added up yet; the rest is done in the background.
SECONDS: Final = 0.5
# Postings of one piece of that work.
SUMMED_AT_ONCE: Final = 2_000
# Customers of one piece of what was open on a day.
AGED_AT_ONCE: Final = 200
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

    def _added_up(self, function: str, start: date, until: date) -> Json:
        """A question about what is kept added up; raises StillWorkingOut where it is far behind."""
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self._span(function, start, until)
            if "permille" not in answer:
                return answer
            if time.monotonic() > deadline or not self.sum_postings(limit=SUMMED_AT_ONCE):
                raise StillWorkingOut(
                    sentence(
                        "What was posted is still being added up, {percent}% so far. Ask again in "
                        "some minutes.",
                        percent=answer["permille"] // 10,
                    )
                )

    def sum_postings(self, *, limit: int) -> bool:
        """Add up the next so many postings for the reports; whether any were left.

        Nothing is done while another process is at it.
        """
        return bool(self._call("sum_postings", limit=limit)["worked"])


def records(rows: list[Json], kind: type[Of]) -> list[Of]:
    """The rows of an answer as records."""
    return [kind.model_validate(row) for row in rows]


def posting(after: Json | None) -> Posting | None:
    """After which posting the next page begins."""
    return Posting(date.fromisoformat(after["on"]), int(after["no"])) if after else None
