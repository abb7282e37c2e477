"""The nightly removal of records that nobody needs any more, a batch at a time.

Bills, readings, payments and the ledger stay for good.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.jobs.runs import JobContext
from services.quantities.counting import count
from services.quantities.period import months_before, start_of_day
from services.settings import Settings

# A batch is one statement, which is to take a fraction of a second.
BATCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A kind of records, for how many months they are kept, and what people call one of them."""

    what: str
    months: int
    one: str
    many: str


def kept_by(settings: Settings) -> tuple[Kept, ...]:
    """What is kept for how long."""
    outbox, sign_ins = settings.keep_outbox_months, settings.keep_sign_ins_months
    messages = settings.keep_messages_months
    return (
        Kept("outbox", outbox, "outbox entry", "outbox entries"),
        Kept("notifications", messages, "message", "messages"),
        Kept("ai_calls", settings.keep_ai_months, "question to AI", "questions to AI"),
        Kept("sessions", sign_ins, "sign-in", "sign-ins"),
        Kept("security_log", sign_ins, "line of the security log", "lines of the security log"),
        Kept("operations_alerts", messages, "alert", "alerts"),
        Kept("refused_reads", outbox, "refused reading", "refused readings"),
        Kept("removals", messages, "record of a removal", "records of removals"),
        Kept("audit_log", 12 * settings.keep_audit_years, "audit record", "audit records"),
    )


def run(context: JobContext) -> str:
    """Remove what is older than it is kept; the run's summary, with what was removed."""
    settings = context.services.current_settings.deployed
    zone = context.services.settings.timezone
    said = []
    for kept in kept_by(settings):
        before = start_of_day(months_before(context.today, kept.months), zone)
        removed = _remove(context, kept.what, before)
        if removed:
            said.append(count(removed, kept.one, kept.many))
    return f"Removed: {', '.join(said)}." if said else "Nothing was old enough to be removed."


def _remove(context: JobContext, what: str, before: datetime) -> int:
    log, removed = context.services.database.operation_log, 0
    while True:
        context.go_on()
        batch = context.patiently(
            lambda: log.remove_old(what=what, before=before, limit=BATCH, run=context.ref)
        )
        removed += batch
        if batch < BATCH:
            return removed
