"""Stripe's events and what reconciliation found, for administrators."""

from dataclasses import dataclass
from typing import Final

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.records.base import Page
from services.records.reconciliation import EventOutcome, RecentRuns, ReconciliationRun, StripeEvent

_RUNS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class StripeLookups:
    """Stripe as it is kept here. Each method raises NotAllowed for who is no administrator."""

    database: DatabaseService

    def events(
        self,
        *,
        text: str,
        outcome: EventOutcome | None,
        principal: Principal,
        page: int,
        page_size: int,
    ) -> Page[StripeEvent]:
        """Events, the newest first; `text` finds ids, types, bills and accounts."""
        require(principal, Permission.VIEW_PAYMENTS)
        return self.database.stripe_events(
            text=text, outcome=outcome, page=page, page_size=page_size
        )

    def last_comparison(self, *, principal: Principal) -> ReconciliationRun | None:
        """The newest comparison of our payments with Stripe's; None before the first."""
        require(principal, Permission.VIEW_PAYMENTS)
        return next(iter(self.database.reconciliations(kind="payments", limit=1)), None)

    def recent_runs(self, *, principal: Principal) -> RecentRuns:
        """The last looks at Stripe, the newest first, and when its newest event happened."""
        require(principal, Permission.VIEW_PAYMENTS)
        return RecentRuns(
            runs=tuple(self.database.reconciliations(limit=_RUNS_SHOWN)),
            newest_event_at=self.database.last_stripe_event_at(),
        )
