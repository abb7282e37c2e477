"""A cashier's day: what should be there by method, what was counted, and closing it once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.quantities.period import local_date, start_of_day
from services.quantities.typed import typed_money
from services.records.reports.rows import CashClosing, CashCount, CashDay

CLOSINGS_SHOWN = 60


@dataclass(frozen=True, slots=True)
class CashDays:
    """Cashiers see and close their own days; who may see the books sees those of all."""

    database: DatabaseService
    zone: ZoneInfo

    def today(self, *, principal: Principal, now: datetime) -> CashDay:
        """What the cashier took since their last closing; raises NotAllowed."""
        require(principal, Permission.RECORD_PAYMENTS)
        on = local_date(now, self.zone)
        return self.database.cash_day(
            cashier=principal.user, on=on, since=start_of_day(on, self.zone)
        )

    def close(
        self,
        *,
        closing_id: str,
        seen: CashDay,
        typed: Mapping[tuple[str, str], str],
        note: str,
        principal: Principal,
        now: datetime,
    ) -> None:
        """Close the cashier's day with what was counted, by currency and method as typed.

        Raises NotAllowed, InvalidMoney, and IllegalChange where the day is closed already, where
        something came since it was `seen`, and where a difference has no note.
        """
        require(principal, Permission.RECORD_PAYMENTS)
        on = local_date(now, self.zone)
        counts = [
            CashCount(
                currency=row.currency,
                method=row.method,
                expected_minor=row.expected_minor,
                counted_minor=typed_money(
                    typed[row.currency, row.method], currency=row.currency
                ).minor,
            )
            for row in seen.rows
        ]
        self.database.close_cash_day(
            actor=principal.user,
            closing_id=closing_id,
            cashier=principal.user,
            on=on,
            since=start_of_day(on, self.zone),
            counts=counts,
            note=note,
        )

    def closings(self, *, principal: Principal) -> list[CashClosing]:
        """The last days that were closed: one's own, or those of all; raises NotAllowed."""
        require(principal, Permission.RECORD_PAYMENTS, Permission.VIEW_BOOKS)
        sees_all = principal.may(Permission.VIEW_BOOKS)
        return self.database.cash_closings(
            cashier=None if sees_all else principal.user, limit=CLOSINGS_SHOWN
        )
