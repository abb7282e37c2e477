"""The daily marking of bills past their due date, and the steps of dunning after it."""

from functools import partial

from services.jobs.runs import JobContext
from services.languages.sentence import sentence
from services.records.jobs import DueCursor

BATCH = 500


def run(context: JobContext) -> str:
    """Break the instalment plans that were not kept, mark each unpaid bill due before today, and
    take the steps that are due of accounts with overdue bills.

    A bill in a plan that is kept is not marked. Answers the run's summary.
    """
    broken = _break_plans(context)
    after = _batch(context, None)
    while after is not None:
        after = _batch(context, after)
    taken = _take_steps(context)
    context.patiently(partial(context.services.dunning.follow_work_orders, now=context.now))
    summary: str = sentence("Bills due before {day}.", day=f"{context.today:%d %b %Y}")
    if broken:
        said = sentence("Instalment plans broken: {plans}.", plans=broken)
        summary = f"{summary} {said}"
    if taken:
        said = sentence("Further steps of dunning: {steps}.", steps=taken)
        summary = f"{summary} {said}"
    return summary


def _take_steps(context: JobContext) -> int:
    """Account by account, a page at a time; how many steps were taken."""
    services, taken = context.services, 0
    zone = services.settings.timezone.key
    context.go_on()
    context.patiently(
        lambda: services.database.dunning.note_notices_given(
            actor=context.actor, run=context.ref, zone=zone
        )
    )
    after: str | None = None
    while True:
        context.go_on()
        found, after = context.patiently(partial(_page, context, after))
        taken += found
        if after is None:
            return taken


def _page(context: JobContext, after: str | None) -> tuple[int, str | None]:
    services = context.services
    return services.database.dunning.take_steps(
        actor=context.actor,
        run=context.ref,
        today=context.today,
        limit=BATCH,
        outbox=services.outbox.plan_for_any("overdue_notice"),
        balance_changed=services.outbox.plan_for_any("balance_changed"),
        after=after,
    )


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
