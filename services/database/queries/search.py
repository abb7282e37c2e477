"""One question over customers, meters, places of supply, bills and payments."""

from services.database.queries.base import Queries
from services.records.search import SearchResults


class SearchQueries(Queries):
    """What fits a text."""

    def search(
        self, *, text: str, bill_number: int | None, amount_minor: int | None, limit: int
    ) -> SearchResults:
        """What fits `text`, a bill's number or an amount in minor units; `limit` of each kind."""
        return SearchResults.model_validate(
            self._call(
                "search",
                text=text,
                bill_number=bill_number,
                amount_minor=amount_minor,
                limit=limit,
            )
        )
