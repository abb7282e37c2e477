"""The nightly removal of records that nobody needs any more, a batch at a time.

Bills, readings, payments and the ledger stay for good.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.jobs.runs import JobContext
from services.languages.sentence import NN_, nsentence, sentence
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
        Kept("outbox", outbox, *NN_("{count} outbox entry", "{count} outbox entries")),
        Kept("notifications", messages, *NN_("{count} message", "{count} messages")),
        Kept(
            "customer_replies",
            messages,
            *NN_("{count} answer of a customer", "{count} answers of customers"),
        ),
        Kept(
            "ai_calls",
            settings.keep_ai_months,
            *NN_("{count} question to AI", "{count} questions to AI"),
        ),
        Kept("sessions", sign_ins, *NN_("{count} sign-in", "{count} sign-ins")),
        Kept(
            "security_log",
            sign_ins,
            *NN_("{count} line of the security log", "{count} lines of the security log"),
        ),
        Kept("operations_alerts", messages, *NN_("{count} alert", "{count} alerts")),
        Kept("refused_reads", outbox, *NN_("{count} refused reading", "{count} refused readings")),
        Kept(
            "job_set_aside",
            outbox,
            *NN_("{count} case that a run set aside", "{count} cases that runs set aside"),
        ),
        # The key of a reading leads from it to its photo, and so goes after that.
        Kept("meter_photos", photos, *NN_("{count} photo", "{count} photos"), part=_OF_PHOTOS),
        Kept(
            "idempotency_keys", photos, *NN_("{count} key of a reading", "{count} keys of readings")
        ),
        Kept("stripe_events", stripe, *NN_("{count} event of Stripe", "{count} events of Stripe")),
        Kept("reconciliations", stripe, *NN_("{count} look at Stripe", "{count} looks at Stripe")),
        Kept(
            "removals", messages, *NN_("{count} record of a removal", "{count} records of removals")
        ),
        Kept(
            "audit_log",
            12 * settings.keep_audit_years,
            *NN_("{count} audit record", "{count} audit records"),
        ),
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
            said.append(nsentence(kept.one, kept.many, removed))
    if not said:
        return sentence("Nothing was old enough to be removed.")
    return sentence("Removed: {things}.", things=", ".join(said))


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
