"""The figures of the Overview page, and what the Settings page keeps: records.

Amounts are whole minor units.
"""

from datetime import date, datetime
from typing import Any

from pydantic import Field

from services.records.base import Record


class MonthFigures(Record):
    """What was billed in a month (its 1st), and collected net of what went back."""

    month: date
    billed_minor: int
    bills: int
    collected_minor: int


class CurrencyFigures(Record):
    """The figures of one currency; the months are in order, the present one last."""

    currency: str
    outstanding_minor: int
    outstanding_bills: int
    overdue_minor: int
    overdue_bills: int
    months: tuple[MonthFigures, ...]

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is open and nothing was billed or collected in these months."""
        return not self.outstanding_minor and not any(
            month.bills or month.collected_minor for month in self.months
        )


class Overview(Record):
    """How many things need a person, and the figures of each currency.

    Things are counted as far as a list is (COUNTED_TO and one more), but drafts to the last.
    """

    flagged: int
    flagged_payments: int
    drafts: int
    meters: int
    overdue_as_of: date | None
    bills_to_decide: int
    open_outbox: int = Field(validation_alias="owed_work")
    currencies: tuple[CurrencyFigures, ...]


class StoredSettings(Record):
    """A version of the settings by name, as JSON has them; 0 is before anything was set."""

    version: int = 0
    settings: dict[str, Any] = Field(default_factory=dict)


class SettingsChange(Record):
    """Who changed settings when (UTC): those that changed, before and after.

    One that is missing before, or null after, has its default there.
    """

    id: int
    at: datetime
    actor: str
    before: dict[str, Any]
    after: dict[str, Any]


class FirstSteps(Record):
    """What of a new utility there is already.

    Readings are those beside opening reads, bills those with a number.
    """

    tariffs: bool
    customers: bool
    meters: bool
    readings: bool
    bills: bool
