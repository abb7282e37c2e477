"""What AI did and cost, for whoever pays for it."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from services.ai.answers import SURE_ENOUGH
from services.ai.asking import Budget, month_began
from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.records.ai import AiMonth


@dataclass(frozen=True, slots=True)
class AiUsage:
    """AI's books beside its budget."""

    database: DatabaseService
    budget: Budget
    zone: ZoneInfo

    def this_month(self, *, principal: Principal, now: datetime) -> AiMonth:
        """What AI did since the 1st of the local month of `now` (UTC).

        Raises NotAllowed, DatabaseError.
        """
        require(principal, Permission.VIEW_SYSTEM)
        since = month_began(now, self.zone)
        spending = self.database.ai_call_log.spending(since=since)
        return AiMonth(
            spending=spending,
            opinions=self.database.ai_call_log.second_opinion_counts(since=since),
            readings=self.database.ai_call_log.reading_verdict_counts(
                since=since, least_confidence=SURE_ENOUGH
            ),
            monthly_budget=self.budget.monthly_budget,
            is_spent=self.budget.is_spent(spending.cost_micro),
        )
