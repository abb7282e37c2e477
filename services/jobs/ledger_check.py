"""The nightly check of the ledger: all entries added up, and held against all that is kept of them.

At a million accounts it takes minutes, so that pages and the closing of a month read what it found.
"""

import threading
from concurrent.futures import Future
from typing import Final

from services.jobs.runs import JobContext, JobFailed
from services.languages.sentence import nsentence, sentence
from services.records.month_end import KeptLedgerCheck

# How often the lease is looked after while the database adds up.
_LOOK_SECONDS: Final = 5.0


def run(context: JobContext) -> str:
    """Check, and keep what came of it; the run's summary. Fails where something does not add up."""
    found = _checked(context)
    context.note(done=found.entries)
    entries = nsentence("{count} entry", "{count} entries", found.entries)
    if found.problems:
        problems = nsentence("{count} problem", "{count} problems", len(found.problems))
        raise JobFailed(
            sentence(
                "The ledger does not add up: {problems} among {entries}; Reconciliation lists "
                "them.",
                problems=problems,
                entries=entries,
            )
        )
    return sentence("The ledger adds up: {entries}.", entries=entries)


def _checked(context: JobContext) -> KeptLedgerCheck:
    """What the database answers, with the lease kept meanwhile."""
    database = context.services.database
    answer: Future[KeptLedgerCheck] = Future()

    def ask() -> None:
        try:
            answer.set_result(database.record_ledger_check(actor=context.actor, run=context.ref))
        # Raised again where it is waited for.
        except BaseException as error:
            answer.set_exception(error)

    # A process that stops does not wait for it: the database ends what nobody waits for.
    threading.Thread(target=ask, name="ledger-check", daemon=True).start()
    while True:
        context.go_on()
        try:
            return answer.result(timeout=_LOOK_SECONDS)
        except TimeoutError:
            if answer.done():
                raise
            context.keep()
