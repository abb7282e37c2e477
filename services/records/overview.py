"""The figures of the Overview page: records. Amounts are whole minor units."""

from datetime import date

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
    """How many things need a person, and the figures of each currency."""

    flagged: int
    flagged_payments: int
    drafts: int
    meters: int
    overdue_as_of: date | None
    bills_to_decide: int
    open_outbox: int = Field(validation_alias="owed_work")
    currencies: tuple[CurrencyFigures, ...]
