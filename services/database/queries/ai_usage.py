"""What AI was asked, what it cost, and how often it computed a bill otherwise."""

from datetime import datetime

from services.database.transport import Filter, Transport
from services.records.ai import (
    AiCall,
    AiSpending,
    ReadingVerdictCounts,
    SecondOpinionCounts,
    StoredOpinion,
)


class AiCallLog:
    """The books of AI over the database's transport; each method raises DatabaseError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def add(self, *, call: AiCall) -> None:
        """Keep one call, once for its id."""
        self._transport.call("add_ai_call", call.model_dump())

    def spent_micro(self, *, since: datetime) -> int:
        """What the calls since an instant (UTC) cost, in millionths of a dollar."""
        return self.spending(since=since).cost_micro

    def spending(self, *, since: datetime) -> AiSpending:
        """What the calls since an instant (UTC) took."""
        return AiSpending.model_validate(
            self._transport.call("ai_spending", {"since": since.isoformat()})
        )

    def second_opinion_counts(self, *, since: datetime) -> SecondOpinionCounts:
        """How AI's computations compare, of the bills made since an instant (UTC)."""
        return SecondOpinionCounts.model_validate(
            self._transport.call("second_opinion_counts", {"since": since.isoformat()})
        )

    def reading_verdict_counts(
        self, *, since: datetime, least_confidence: int
    ) -> ReadingVerdictCounts:
        """How AI and the rules compare, of the readings stored since an instant (UTC).

        AI doubts one from `least_confidence` percent on.
        """
        asked = {"since": since.isoformat(), "least_confidence": least_confidence}
        return ReadingVerdictCounts.model_validate(
            self._transport.call("reading_verdict_counts", asked)
        )

    def second_opinion(self, *, bill_id: str) -> StoredOpinion | None:
        """What AI computed of a bill; None when it gave nothing."""
        rows = self._transport.select(
            "second_opinion_list", filters=[Filter("bill_id", "eq", bill_id)], limit=1
        ).rows
        return StoredOpinion.model_validate(rows[0]["second_opinion"]) if rows else None
