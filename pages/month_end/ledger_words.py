"""What a check of the ledger found, in the same words wherever it is shown."""

from typing import Final

from pages.shared.format import count, moment
from pages.shared.session import zone
from services.records.month_end import KeptLedgerCheck, LedgerCheck

NOT_CHECKED_YET: Final = (
    "So many entries are added up at night. The first check is still to come; *Ledger check* on "
    "*Jobs* can be run at any time."
)


def ledger_in_words(found: LedgerCheck) -> str:
    """Of a ledger that adds up."""
    entries = count(found.entries, "entry", "entries")
    return f"The ledger adds up{when_checked(found)}: {entries}."


def when_checked(found: LedgerCheck) -> str:
    """As of when, with a space before it; empty where it was checked just now."""
    if isinstance(found, KeptLedgerCheck):
        return f" as of {moment(found.began_at, zone())}"
    return ""
