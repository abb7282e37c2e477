"""What an operator watches, and the alerts that all processes share."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from services.database.errors import named
from services.database.transport import DatabaseRefused, Filter, Transport
from services.records.jobs import BillsOfSpan, OperationFigures, OperationsAlert, RunRef


class OperationLog:
    """Figures and alerts over the database's transport; each method raises DatabaseError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def figures(
        self, *, today: date, day_began: datetime, month_began: datetime
    ) -> OperationFigures:
        """Figures of now; `today` is the utility's local date, the others when it began (UTC)."""
        answer = self._transport.call(
            "operation_figures",
            {
                "today": today.isoformat(),
                "day_began": day_began.isoformat(),
                "month_began": month_began.isoformat(),
            },
        )
        return OperationFigures.model_validate(answer)

    def bills_of_span(self, *, after: date, until: date) -> BillsOfSpan:
        """The bills, not void, whose period ends in (after, until]."""
        span = {"after": after.isoformat(), "until": until.isoformat()}
        return BillsOfSpan.model_validate(span | self._transport.call("bills_of_span", span))

    def note_alerts(
        self,
        *,
        now: datetime,
        seen: Sequence[Mapping[str, Any]],
        clear: Sequence[str],
        quiet_minutes: int,
    ) -> None:
        """Keep what was found: {condition, sentence, told?} rows, and conditions that are well.

        An alert is over once its condition was clear for `quiet_minutes`.
        """
        self._transport.call(
            "note_operations_alerts",
            {
                "now": now.isoformat(),
                "seen": [dict(row) for row in seen],
                "clear": list(clear),
                "quiet_minutes": quiet_minutes,
            },
        )

    def claim_alerts(self, *, now: datetime, channels: Sequence[str]) -> list[OperationsAlert]:
        """Alerts (at most 50) that a channel is to be notified of, by this caller."""
        answer = self._transport.call(
            "claim_operations_alerts", {"now": now.isoformat(), "channels": list(channels)}
        )
        return [OperationsAlert.model_validate(row) for row in answer["alerts"]]

    def alert_told(self, *, alert_id: int, now: datetime, what: Sequence[str]) -> None:
        """Keep that a channel was notified: `what` has "<channel>/begin" or "<channel>/end"."""
        self._transport.call(
            "operations_alert_told", {"id": alert_id, "now": now.isoformat(), "what": list(what)}
        )

    def remove_old(
        self, *, what: str, before: datetime, limit: int, run: RunRef | None = None
    ) -> int:
        """Remove up to `limit` records of a kind from before an instant (UTC); how many.

        `what` is one of those that services/jobs/retention.py names. Raises RunTakenOver for a
        `run` that another process has.
        """
        params = {"what": what, "before": before.isoformat(), "limit": limit}
        try:
            answer = self._transport.call(
                "remove_old_records", params | ({"run": run.to_json()} if run else {})
            )
        except DatabaseRefused as error:
            raise named(error) from None
        return int(answer["removed"])

    def alerts(self, *, open_only: bool = False, limit: int = 20) -> list[OperationsAlert]:
        """Alerts, the latest first."""
        filters = [Filter("resolved_at", "is_null")] if open_only else []
        rows = self._transport.select(
            "operations_alert_list", filters=filters, order=["since.desc", "id.desc"], limit=limit
        ).rows
        return [OperationsAlert.model_validate(row) for row in rows]
