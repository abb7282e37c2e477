"""Stripe's events: each is stored once, with all that it changes in the same transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.database.queries.base import Queries
from services.database.transport import Filter
from services.records.base import COUNTED_TO, Page
from services.records.reconciliation import AppliedEvent, ArrivedBy, EventOutcome, StripeEvent


class StripeQueries(Queries):
    """Events of Stripe and what became of them; turns there."""

    def apply_stripe_event(
        self,
        *,
        actor: str,
        event: Mapping[str, Any],
        arrived_by: ArrivedBy,
        effect: Mapping[str, Any] | None = None,
        outcome: EventOutcome | None = None,
        detail: str = "",
        outbox: Mapping[str, Any] | None = None,
    ) -> AppliedEvent:
        """Store an event and what it means; repeated, it changes nothing.

        `event` is {id, type, created_at, livemode, object_id, payment_intent}. One without an
        `effect` has an `outcome`: ignored or kept.
        """
        answer = self._call(
            "apply_stripe_event",
            actor=actor,
            event=dict(event),
            arrived_by=arrived_by,
            effect=effect,
            outcome=outcome,
            detail=detail,
            outbox=outbox,
        )
        return AppliedEvent.model_validate(answer)

    def stripe_turn(
        self, *, a_second: int, for_somebody: bool, most_seconds: float
    ) -> tuple[float, bool]:
        """Take the turn of a request at Stripe, at the rate of all processes together.

        The seconds until it, and whether it was taken: a longer wait than `most_seconds` is not.
        `for_somebody` who waits it comes before those of jobs.
        """
        answer = self._call(
            "stripe_turn",
            a_second=a_second,
            for_somebody=for_somebody,
            most_ms=round(most_seconds * 1000),
        )
        return answer["wait_ms"] / 1000, bool(answer["taken"])

    def pause_stripe(self, *, seconds: float) -> None:
        """No process asks Stripe for anything for some time, because Stripe asked for that."""
        self._call("pause_stripe", ms=round(seconds * 1000))

    def stripe_events(
        self,
        *,
        text: str = "",
        outcome: EventOutcome | None = None,
        arrived_by: ArrivedBy | None = None,
        payment_id: str | None = None,
        page: int = 1,
        page_size: int = 25,
    ) -> Page[StripeEvent]:
        """Events, the newest first; `text` finds whole ids, types, bills and accounts."""
        answer = self._call(
            "list_stripe_events",
            text=text,
            outcome=outcome,
            arrived_by=arrived_by,
            payment_id=payment_id,
            offset=(page - 1) * page_size,
            limit=page_size,
            count_to=COUNTED_TO,
        )
        items = tuple(StripeEvent.model_validate(row) for row in answer["rows"])
        return Page(items=items, total=answer["total"])

    def last_stripe_event_at(self) -> datetime | None:
        """When the newest event of ours happened, by Stripe's clock; None before the first."""
        rows = self._transport.select(
            "stripe_event_list",
            filters=[Filter("outcome", "neq", "ignored")],
            order=["created_at.desc"],
            limit=1,
        ).rows
        return StripeEvent.model_validate(rows[0]).created_at if rows else None
