"""Statements of account as messages: what their mail says."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from services.languages.language import Language
from services.records.bills import Bill
from services.records.outbox import OutboxKind

ACCOUNT_STATEMENT: Final[OutboxKind] = "account_statement"
# Its first local date, and the first one after it.
STATEMENT_START: Final = "statement_start"
STATEMENT_END: Final = "statement_end"


def days_of(facts: Mapping[str, str]) -> tuple[date, date]:
    """The local dates [start, end) of a statement; raises KeyError, ValueError."""
    return date.fromisoformat(facts[STATEMENT_START]), date.fromisoformat(facts[STATEMENT_END])


def statement_text(bill: Bill, facts: Mapping[str, str], language: Language) -> str:  # noqa: ARG001
    """That it is attached."""
    start, end = days_of(facts)
    return language.gettext(
        "Your statement of account from {start} to {end} is attached.",
        start=start,
        end=end - timedelta(days=1),
    )
