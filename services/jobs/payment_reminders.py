"""The daily reminders before bills are due, as the dunning policy has them, after a look at Stripe.

They are the first steps of the ladder; overdue_marking takes those after the due date.
"""

import logging
from datetime import date, timedelta

from services.database.errors import RunTakenOver
from services.jobs.runs import JobContext, StopRequested
from services.languages.sentence import joined, nsentence, sentence
from services.records.jobs import DueCursor

log = logging.getLogger(__name__)

BATCH = 500


def run(context: JobContext) -> str:
    """Queue the reminders whose day has come of bills that are still unpaid, each once.

    Answers the run's summary; the reminders themselves are sent from the outbox. What
    was paid at Stripe is counted first, so that nobody who paid is reminded.
    """
    at_stripe = _look_at_stripe(context)
    days = context.patiently(context.services.database.dunning.days_of_reminders)
    until = context.today + timedelta(days=days)
    after = _batch(context, until, None)
    while after is not None:
        after = _batch(context, until, after)
    said = sentence(
        "Bills due from {first} to {last}.",
        first=f"{context.today:%d %b}",
        last=f"{until:%d %b %Y}",
    )
    return joined(filter(None, (said, at_stripe)), by=" ")


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
        return sentence("Stripe was not looked at: an unexpected error, see the log.")
    if run.error:
        return sentence("Stripe was not looked at: {error}", error=run.error)
    if not run.applied:
        return sentence("Stripe: nothing missed.")
    return nsentence("Stripe: {count} missed.", "Stripe: {count} missed.", run.applied)


def _batch(context: JobContext, until: date, after: DueCursor | None) -> DueCursor | None:
    context.go_on()
    services = context.services
    _, following = context.patiently(
        lambda: services.database.queue_reminders(
            run=context.ref,
            today=context.today,
            until=until,
            limit=BATCH,
            outbox=services.outbox.plan_for_any("payment_reminder"),
            balance_changed=services.outbox.plan_for_any("balance_changed"),
            after=after,
        )
    )
    return following
