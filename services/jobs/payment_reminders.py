"""The daily reminder of bills that are due within three days."""

from datetime import timedelta

from services.jobs.runs import JobContext

BATCH = 500
DAYS_AHEAD = timedelta(days=3)


def run(context: JobContext) -> str:
    """Owe a reminder for each unpaid bill due in [today, today + 3 days] and not yet reminded.

    Answers the run's summary; the reminders themselves are sent with the other owed work.
    """
    until = context.today + DAYS_AHEAD
    while _batch(context) == BATCH:
        pass
    return f"Bills due from {context.today:%d %b} to {until:%d %b %Y}."


def _batch(context: JobContext) -> int:
    context.go_on()
    services = context.services
    return context.patiently(
        lambda: services.database.queue_reminders(
            run=context.ref,
            today=context.today,
            until=context.today + DAYS_AHEAD,
            limit=BATCH,
            owed=services.owed_steps.plan_for_any("payment_reminder"),
        )
    )
