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
# A photo is a hundred times as large as a record.
_OF_PHOTOS: Final = 25


@dataclass(frozen=True, slots=True)
class Kept:
    """A kind of records, for how many months they are kept, and what people call one of them.

    A batch of large ones is a part of another's, so many times as small.
    """

    what: str
    months: int
    one: str
    many: str
    part: int = 1


def kept_by(settings: Settings) -> tuple[Kept, ...]:
    """What is kept for how long; docs/operation.md has all tables, with those that stay."""
    outbox, sign_ins = settings.keep_outbox_months, settings.keep_sign_ins_months
    messages, photos = settings.keep_messages_months, settings.keep_photos_months
    stripe = settings.keep_stripe_months
    return (
        Kept("outbox", outbox, "outbox entry", "outbox entries"),
        Kept("notifications", messages, "message", "messages"),
        Kept("customer_replies", messages, "answer of a customer", "answers of customers"),
        Kept("ai_calls", settings.keep_ai_months, "question to AI", "questions to AI"),
        Kept("sessions", sign_ins, "sign-in", "sign-ins"),
        Kept("security_log", sign_ins, "line of the security log", "lines of the security log"),
        Kept("operations_alerts", messages, "alert", "alerts"),
        Kept("refused_reads", outbox, "refused reading", "refused readings"),
        Kept("job_set_aside", outbox, "case that a run set aside", "cases that runs set aside"),
        # The key of a reading leads from it to its photo, and so goes after that.
        Kept("meter_photos", photos, "photo", "photos", part=_OF_PHOTOS),
        Kept("idempotency_keys", photos, "key of a reading", "keys of readings"),
        Kept("stripe_events", stripe, "event of Stripe", "events of Stripe"),
        Kept("reconciliations", stripe, "look at Stripe", "looks at Stripe"),
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
        removed = _remove(context, kept, before)
        if removed:
            said.append(count(removed, kept.one, kept.many))
    return f"Removed: {', '.join(said)}." if said else "Nothing was old enough to be removed."


def _remove(context: JobContext, kept: Kept, before: datetime) -> int:
    log, removed = context.services.database.operation_log, 0
    what, limit = kept.what, max(1, BATCH // kept.part)
    while True:
        context.go_on()
        batch = context.patiently(
            lambda: log.remove_old(what=what, before=before, limit=limit, run=context.ref)
        )
        removed += batch
        if batch < limit:
            return removed
