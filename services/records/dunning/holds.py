"""Accounts whose dunning is on hold: records."""

from datetime import date, datetime
from typing import Final, Literal, get_args

from services.records.base import Record

HoldReason = Literal["dispute", "plan", "vulnerable", "hand"]
HOLD_REASONS: Final[tuple[HoldReason, ...]] = get_args(HoldReason)


class DunningHold(Record):
    """A hold from the local date `since` up to and without `until`, or until it is released."""

    id: str
    customer_id: str
    reason: HoldReason
    note: str
    since: date
    until: date | None = None
    held_by: str
    created_at: datetime
    released_at: datetime | None = None
    released_by: str | None = None
    released_because: str = ""

    def holds_on(self, day: date) -> bool:
        """Whether it holds on a local date."""
        return self.released_at is None and (self.until is None or day < self.until)
