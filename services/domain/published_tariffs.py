"""What is kept of tariffs and of the bills made with them, as the Tariffs pages read it."""

from datetime import date, datetime
from typing import Any

from services.domain.period import Period
from services.domain.records import Record, TariffVersion


class TariffSummary(Record):
    """A tariff, how many active meters are on it, and up to which local date it is billed.

    `begins` are the local dates from which its versions hold, in order.
    """

    id: str
    code: str
    name: str
    currency: str
    meters: int
    billed_until: date | None
    begins: tuple[date, ...]


class PublishedVersion(TariffVersion):
    """A version with who published it and when; of a correction also which one it replaced, why."""

    published_at: datetime
    published_by: str | None
    replaces_id: str | None = None
    correction_reason: str = ""


class BilledUse(Record):
    """What an issued bill was made of: local dates (the end excluded), Wh, minor units.

    `usage` is as services/domain/kept_usage.py keeps it; None where that was the Wh alone.
    """

    id: str
    account_no: str
    meter_serial: str
    period_start: date
    period_end: date
    consumption_wh: int
    total_minor: int
    usage: dict[str, Any] | None = None

    @property
    def period(self) -> Period:
        """The bill's local days."""
        return Period(self.period_start, self.period_end)
