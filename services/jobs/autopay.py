"""The daily charges of autopay: planned, announced, charged on the due date; cards that expire."""

import time
from collections.abc import Callable
from typing import Final

from services.autopay.charging import LEASE_SECONDS, PAGE
from services.autopay.signing_up import plans
from services.jobs.runs import JobContext, JobFailed, StopRequested
from services.languages.sentence import nsentence, sentence

BATCH = 500
# So many are tried to see whether Stripe answers once more, after so long.
PROBE: Final = 2
PAUSES_SECONDS: Final = (30.0, 60.0, 120.0, 300.0, 600.0, 900.0)
_Step = Callable[[str | None], tuple[int, str | None]]


def run(context: JobContext) -> str:
    """Plan what is new, announce what is near, charge what is due; the run's summary.

    Autopay of who has left ends.

    Where Stripe is not configured nothing is charged: autopay is paused, and dunning goes on.
    """
    services = context.services
    on = services.autopay.offered
    _switch(context, on=on)
    if not on:
        return sentence("Stripe or the public address is not configured: nothing is charged.")
    book = services.database.autopay
    pages(context, book.plan)
    announced = pages(context, book.announce)
    tried = _charge(context)
    pages(context, book.end_without_supply)
    pages(context, book.tell_of_expiring_cards)
    return sentence(
        "Announced: {announced}. Charges tried: {tried}.",
        announced=announced,
        tried=nsentence("{count} charge", "{count} charges", tried),
    )


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


def pages(context: JobContext, step: Callable[..., tuple[int, str | None]]) -> int:
    """One step, a page at a time; how much it did."""
    done, after = 0, None
    while True:
        context.go_on()
        found, after = context.patiently(
            lambda after=after: step(  # type: ignore[misc]
                actor=context.actor,
                run=context.ref,
                today=context.today,
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
    takes up what was left. While Stripe does not answer, one or two are tried after each pause.
    Raises JobFailed where it stays away.
    """
    services, tried, after, size = context.services, 0, None, PAGE
    pauses = iter(PAUSES_SECONDS)
    while True:
        context.go_on()
        attempts, after = services.database.autopay.begin(
            actor=context.actor,
            run=context.ref,
            today=context.today,
            limit=size,
            owner=context.label,
            lease_seconds=LEASE_SECONDS,
            outbox=plans(services.outbox),
            after=after,
        )
        answered = services.autopay.charging.charge_all(attempts, now=context.clock())
        context.note()
        tried += len(attempts)
        if answered:
            size, pauses = PAGE, iter(PAUSES_SECONDS)
        elif attempts:
            size = PROBE
            _pause(context, next(pauses, None))
        if after is None:
            return tried


def _pause(context: JobContext, seconds: float | None) -> None:
    """Wait under the run's lease; raises StopRequested, and JobFailed after the last pause."""
    if seconds is None:
        raise JobFailed(
            sentence(
                "Stripe does not answer. What was begun is looked up every few minutes; "
                "run this job again, or the rest is charged tomorrow."
            )
        )
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        context.keep()
        if context.stop.wait(min(left, 10)):
            raise StopRequested
