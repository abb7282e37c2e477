"""What a check of the ledger found, in the same words wherever it is shown."""

from typing import Final

from pages.languages.words import _
from pages.shared.format import count, moment
from pages.shared.session import zone
from services.languages.sentence import N_
from services.records.month_end import KeptLedgerCheck, LedgerCheck

NOT_CHECKED_YET: Final = N_(
    "So many entries are added up at night. The first check is still to come; *Ledger check* on "
    "*Jobs* can be run at any time."
)


def ledger_in_words(found: LedgerCheck) -> str:
    """Of a ledger that adds up."""
    entries = count(found.entries, "entry", "entries")
    if at := when_checked(found):
        return _("The ledger adds up as of {moment}: {entries}.", moment=at, entries=entries)
    return _("The ledger adds up: {entries}.", entries=entries)


def when_checked(found: LedgerCheck) -> str:
    """As of when it was checked; empty where it was checked just now."""
    return moment(found.began_at, zone()) if isinstance(found, KeptLedgerCheck) else ""
