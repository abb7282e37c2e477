"""What customers used by month, as it was billed, with the year before beside it."""

from dataclasses import dataclass
from datetime import date
from itertools import groupby

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.metering.monthly_use import MonthOfUse, by_month, first_day_shown, last_months
from services.records.details import BilledUse


@dataclass(frozen=True, slots=True)
class MeterUse:
    """The last 13 months of a meter, the oldest first."""

    meter_id: str
    meter_serial: str
    months: tuple[MonthOfUse, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """Use by month, for administrators; `today` is a local date."""

    database: DatabaseService

    def by_customer(
        self, *, customer_id: str, today: date, principal: Principal
    ) -> tuple[MeterUse, ...]:
        """Of each meter that billed the customer in these months, by serial."""
        require(principal, Permission.VIEW_CUSTOMERS)
        since = first_day_shown(today)
        return by_meter(self.database.billed_use(customer_id=customer_id, since=since), today)

    def of_meter(self, *, meter_id: str, today: date, principal: Principal) -> tuple[MeterUse, ...]:
        """Of one meter, whoever was billed; nothing where it was not billed in these months."""
        require(principal, Permission.VIEW_CUSTOMERS)
        since = first_day_shown(today)
        return by_meter(self.database.billed_use(meter_id=meter_id, since=since), today)


def by_meter(periods: list[BilledUse], today: date) -> tuple[MeterUse, ...]:
    """The last 13 months of each meter that the periods are of, by serial."""
    found = []
    ordered = sorted(periods, key=lambda one: (one.meter_serial, one.meter_id))
    for (serial, meter_id), of_meter in groupby(
        ordered, key=lambda one: (one.meter_serial, one.meter_id)
    ):
        months = by_month((u.period_start, u.period_end, u.consumption_wh) for u in of_meter)
        found.append(MeterUse(meter_id, serial, last_months(months, today=today)))
    return tuple(found)
