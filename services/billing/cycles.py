"""Billing cycles: the day of the month on which an agreement, or a reading route, is billed."""

from dataclasses import dataclass
from typing import Final

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.records.jobs import BillingDays

# So that each month has it.
LAST_BILLING_DAY: Final = 28


class NoBillingDay(ValueError):
    """This is no day on which somebody can be billed each month."""


@dataclass(frozen=True, slots=True)
class BillingCycles:
    """Which days of the month are billing days, and whose. Each takes a principal who may."""

    database: DatabaseService

    def days(self, *, principal: Principal) -> BillingDays:
        """The billing days in use and the reading routes."""
        require(principal, Permission.VIEW_BILLS)
        return self.database.billing_days()

    def move_agreement(self, agreement_id: str, *, billing_day: int, principal: Principal) -> bool:
        """Bill an agreement on another day; whether it was on another before.

        Its next bill runs from its last one to the day that comes then. Raises NoBillingDay,
        NotFound, IllegalChange for one that has ended.
        """
        require(principal, Permission.PREPARE_BILLS)
        moved = self.database.set_billing_day(
            actor=principal.user, billing_day=_checked(billing_day), agreement_id=agreement_id
        )
        return moved > 0

    def move_route(self, route: str, *, billing_day: int, principal: Principal) -> int:
        """Bill everybody on a reading route on one day, and who comes to it later.

        How many agreements were on another day before. Raises NoBillingDay, NotFound.
        """
        require(principal, Permission.PREPARE_BILLS)
        return self.database.set_billing_day(
            actor=principal.user, billing_day=_checked(billing_day), route=route
        )


def _checked(billing_day: int) -> int:
    if not 1 <= billing_day <= LAST_BILLING_DAY:
        raise NoBillingDay(
            sentence(
                "A billing day is from 1 to {last}, so that each month has it.",
                last=LAST_BILLING_DAY,
            )
        )
    return billing_day
