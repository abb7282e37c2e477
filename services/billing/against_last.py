"""A bill against the last one of its agreement, as if both were of as many days."""

from dataclasses import dataclass
from typing import Final, Literal

from services.metering.validation_rules import LOW_USE_FACTOR
from services.records.bills import LastBill, NewBill

# How many times as much or as little a day is worth a look.
FACTOR: Final = LOW_USE_FACTOR

Differs = Literal["negative", "no_use", "more", "less"]


@dataclass(frozen=True, slots=True)
class AgainstLast:
    """A bill's Wh and minor units, and what its agreement's last bill comes to for as many days."""

    consumption_wh: int
    total_minor: int
    usual_wh: int
    usual_minor: int

    @classmethod
    def of(cls, bill: NewBill, last: LastBill) -> "AgainstLast":
        """The comparison of a bill with the last one in the same currency."""
        days = (bill.closing.read_on - bill.opening.read_on).days
        return cls(
            consumption_wh=bill.consumption_wh,
            total_minor=bill.rated.total_minor,
            usual_wh=_for_days(last.consumption_wh, last.days, days),
            usual_minor=_for_days(last.total_minor, last.days, days),
        )

    @property
    def difference_minor(self) -> int:
        """How far the total is from the usual one, up or down."""
        return abs(self.total_minor - self.usual_minor)

    @property
    def differs(self) -> Differs | None:
        """How it stands out; None for a bill much like the last one."""
        if self.total_minor < 0 <= self.usual_minor:
            return "negative"
        if self.consumption_wh == 0 < self.usual_wh:
            return "no_use"
        pairs = [(self.consumption_wh, self.usual_wh)]
        if self.usual_minor > 0 <= self.total_minor:
            pairs.append((self.total_minor, self.usual_minor))
        if any(now > FACTOR * usual for now, usual in pairs):
            return "more"
        return "less" if any(FACTOR * now < usual for now, usual in pairs) else None


def _for_days(amount: int, of_days: int, days: int) -> int:
    """An amount of some days for others, to the nearest whole."""
    return (2 * amount * days + of_days) // (2 * of_days)
