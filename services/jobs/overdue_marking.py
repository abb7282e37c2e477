"""The daily marking of bills that are past their due date."""

from services.jobs.runs import JobContext
from services.records.jobs import DueCursor

BATCH = 500


def run(context: JobContext) -> str:
    """Break the instalment plans that were not kept, then mark each unpaid bill due before today.

    A bill in a plan that is kept is not marked. Answers the run's summary.
    """
    broken = _break_plans(context)
    after = _batch(context, None)
    while after is not None:
        after = _batch(context, after)
    summary = f"Bills due before {context.today:%d %b %Y}."
    if broken:
        summary += f" Instalment plans broken: {broken}."
    return summary


def _break_plans(context: JobContext) -> int:
    context.go_on()
    database = context.services.database
    return context.patiently(
        lambda: database.break_plans(actor=context.actor, run=context.ref, today=context.today)
    )


def _batch(context: JobContext, after: DueCursor | None) -> DueCursor | None:
    context.go_on()
    services = context.services
    _, following = context.patiently(
        lambda: services.database.mark_overdue(
            actor=context.actor,
            run=context.ref,
            today=context.today,
            limit=BATCH,
            outbox=services.outbox.plan_for_any("overdue_notice"),
            balance_changed=services.outbox.plan_for_any("balance_changed"),
            after=after,
        )
    )
    return following
