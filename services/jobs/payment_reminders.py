"""The daily reminder of bills that are due within three days, after a look at Stripe."""

import logging
from datetime import timedelta

from services.database.errors import RunTakenOver
from services.jobs.runs import JobContext, StopRequested
from services.records.jobs import DueCursor

log = logging.getLogger(__name__)

BATCH = 500
DAYS_AHEAD = timedelta(days=3)


def run(context: JobContext) -> str:
    """Queue a reminder for each unpaid bill due in [today, today + 3 days] and not yet reminded.

    Answers the run's summary; the reminders themselves are sent from the outbox. What
    was paid at Stripe is counted first, so that nobody who paid is reminded.
    """
    at_stripe = _look_at_stripe(context)
    until = context.today + DAYS_AHEAD
    after = _batch(context, None)
    while after is not None:
        after = _batch(context, after)
    return f"Bills due from {context.today:%d %b} to {until:%d %b %Y}.{at_stripe}"


def _look_at_stripe(context: JobContext) -> str:
    """Count what the webhook missed; a sentence on it. Its failure never keeps back reminders."""
    reconciliation = context.services.reconciliation
    if reconciliation is None:
        return ""

    def pulse() -> None:
        context.go_on()
        context.note()

    try:
        run = reconciliation.catch_up(actor=context.actor, now=context.clock(), pulse=pulse)
    except (RunTakenOver, StopRequested):
        raise
    except Exception:
        log.exception("reconciliation failed")
        return " Stripe was not looked at: an unexpected error, see the log."
    if run.error:
        return f" Stripe was not looked at: {run.error}"
    return f" Stripe: {run.applied} missed." if run.applied else " Stripe: nothing missed."


def _batch(context: JobContext, after: DueCursor | None) -> DueCursor | None:
    context.go_on()
    services = context.services
    _, following = context.patiently(
        lambda: services.database.queue_reminders(
            run=context.ref,
            today=context.today,
            until=context.today + DAYS_AHEAD,
            limit=BATCH,
            outbox=services.outbox.plan_for_any("payment_reminder"),
            balance_changed=services.outbox.plan_for_any("balance_changed"),
            after=after,
        )
    )
    return following
