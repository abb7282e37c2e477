"""The daily marking of bills that are past their due date."""

from services.jobs.runs import JobContext

BATCH = 500


def run(context: JobContext) -> str:
    """Mark each unpaid bill due before today as overdue and owe its customer the notice.

    Answers the run's summary.
    """
    while _batch(context) == BATCH:
        pass
    return f"Bills due before {context.today:%d %b %Y}."


def _batch(context: JobContext) -> int:
    context.go_on()
    services = context.services
    return context.patiently(
        lambda: services.database.mark_overdue(
            actor=context.actor,
            run=context.ref,
            today=context.today,
            limit=BATCH,
            owed=services.owed_steps.plan_for_any("overdue_notice"),
        )
    )
