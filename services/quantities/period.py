"""Billing periods as half-open local dates, and the way between instants and local dates."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo


class EmptyPeriod(ValueError):
    """A period must end after it starts."""


class InstantWithoutZone(ValueError):
    """An instant without a zone has no local date."""


@dataclass(frozen=True, slots=True)
class Period:
    """The local days from `start` up to, and not including, `end`."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if isinstance(self.start, datetime) or isinstance(self.end, datetime):
            raise TypeError("A period is made of local dates, not of instants.")
        if self.end <= self.start:
            raise EmptyPeriod(f"A period from {self.start} cannot end on {self.end}.")

    @property
    def days(self) -> int:
        """Number of local days, whatever the clocks did meanwhile."""
        return (self.end - self.start).days

    def months(self) -> Fraction:
        """Sum, over the calendar months touched, of days covered / days in that month."""
        total = Fraction(0)
        day = self.start
        while day < self.end:
            until = min(next_month(day), self.end)
            total += Fraction((until - day).days, monthrange(day.year, day.month)[1])
            day = until
        return total


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """The date on the wall in `zone` at an instant. Raises InstantWithoutZone."""
    if instant.utcoffset() is None:
        raise InstantWithoutZone(f"{instant.isoformat()} does not say its time zone.")
    return instant.astimezone(zone).date()


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant, in UTC, of a local day."""
    # Where clocks skip midnight, fold 0 keeps the old offset, which gives the instant of the skip;
    # where midnight comes twice, fold 0 is the first.
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def first_of_month(day: date) -> date:
    """The first day of the month of `day`."""
    return day.replace(day=1)


def next_month(day: date) -> date:
    """The first day of the month after that of `day`."""
    return first_of_month(first_of_month(day) + timedelta(days=31))


def months_before(day: date, months: int) -> date:
    """The same day of an earlier month, or the last one of a month that has no such day."""
    years, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    first = date(years, month + 1, 1)
    return first.replace(day=min(day.day, (next_month(first) - first).days))


def next_billing_day(day: date, billing_day: int) -> date:
    """The first date after `day` that is this day of the month, 1 to 28."""
    of_month = day.replace(day=billing_day)
    return of_month if of_month > day else next_month(day).replace(day=billing_day)


def written_day(day: date) -> str:
    """A local date in a sentence: 3 Nov 2026."""
    return f"{day.day} {day:%b %Y}"
