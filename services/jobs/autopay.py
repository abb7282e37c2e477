"""The daily charges of autopay: planned, announced, charged on the due date; cards that expire."""

from collections.abc import Callable
from datetime import date

from services.autopay.charging import LEASE_SECONDS, PAGE
from services.autopay.signing_up import plans
from services.jobs.runs import JobContext
from services.quantities.counting import count

BATCH = 500
_Step = Callable[[str | None], tuple[int, str | None]]


def run(context: JobContext) -> str:
    """Plan what is new, announce what is near, charge what is due; the run's summary.

    Where Stripe is not configured nothing is charged: autopay is paused, and dunning goes on.
    """
    services = context.services
    on = services.autopay.offered
    _switch(context, on=on)
    if not on:
        return "Stripe or the public address is not configured: nothing is charged."
    book = services.database.autopay
    today = context.today
    _pages(context, today, book.plan)
    announced = _pages(context, today, book.announce)
    tried = _charge(context)
    _pages(context, today, book.tell_of_expiring_cards)
    return f"Announced: {announced}. Charges tried: {count(tried, 'charge')}."


def _switch(context: JobContext, *, on: bool) -> None:
    """Pause all that cannot be charged, or let it go on, a page at a time."""
    services = context.services
    found = BATCH
    while found == BATCH:
        context.go_on()
        found = context.patiently(
            lambda: services.database.autopay.switch(
                actor=context.actor,
                run=context.ref,
                on=on,
                today=context.today,
                limit=BATCH,
                outbox=plans(services.outbox),
            )
        )


def _pages(context: JobContext, today: date, step: Callable[..., tuple[int, str | None]]) -> int:
    """One step, a page at a time; how much it did."""
    done, after = 0, None
    while True:
        context.go_on()
        found, after = context.patiently(
            lambda after=after: step(  # type: ignore[misc]
                actor=context.actor,
                run=context.ref,
                today=today,
                limit=BATCH,
                outbox=plans(context.services.outbox),
                after=after,
            )
        )
        done += found
        if after is None:
            return done


def _charge(context: JobContext) -> int:
    """Try what is due, a page at a time; how many were tried.

    A page whose begin was not answered may be begun all the same: its tries are settled by who
    takes up what was left.
    """
    services, tried, after = context.services, 0, None
    while True:
        context.go_on()
        attempts, after = services.database.autopay.begin(
            actor=context.actor,
            run=context.ref,
            today=context.today,
            limit=PAGE,
            owner=context.label,
            lease_seconds=LEASE_SECONDS,
            outbox=plans(services.outbox),
            after=after,
        )
        services.autopay.charging.charge_all(attempts, now=context.clock())
        context.note()
        tried += len(attempts)
        if after is None:
            return tried
