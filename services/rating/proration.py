"""How many months, days or bills a period is, as exact columns, and the words for it."""

from calendar import monthrange
from fractions import Fraction
from math import lcm
from typing import Final

import numpy as np

from services.quantities.money import decimal_text, round_half_up, scaled_text
from services.quantities.period import Period, next_month
from services.rating.exact_columns import Column, Mask, Whole
from services.tariffs import MonthCount

# A month of 28, 29, 30 or 31 days: each day of it is a whole number of these parts.
_PARTS: Final = lcm(28, 29, 30, 31)
CALENDAR_MONTHS: Final = MonthCount()
_COUNT_PLACES: Final = 4
_MOST_PLACES: Final = 8  # of a count of months that the tariff rounds


def calendar_months(start: Whole, end: Whole) -> Column:
    """Sum, over the calendar months touched, of days covered / days in that month.

    Day numbers from 1970-01-01, the end excluded.
    """
    return Column.of(_position(end) - _position(start)).times(Fraction(1, _PARTS)).reduced()


def _position(days: Whole) -> Whole:
    """Months since 1970-01 at the start of a day, in parts: whole months and days / days in it."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    first = months.astype("datetime64[D]")
    length = ((months + 1).astype("datetime64[D]") - first).astype(np.int64)
    day_of_month = (dates - first).astype(np.int64)
    position: Whole = months.astype(np.int64) * _PARTS + day_of_month * (_PARTS // length)
    return position


def months(
    rule: MonthCount, *, start: Whole, end: Whole, bill_days: Column, of_bill: Column
) -> Column:
    """How many months each bill, or part of a bill, is.

    `bill_days` are the days of the whole bill and `of_bill` is the part's share of them, which is
    also its months where the rule takes the whole bill for one month.
    """
    if rule.count == "one":
        return of_bill
    days = Column.of(end - start)
    counted = days.times(Fraction(1, 30)) if rule.count == "thirtieths" else None
    if counted is None:
        counted = calendar_months(start, end)
    if rule.places is not None:
        counted = counted.rounded(to=Fraction(1, 10**rule.places))
    if rule.one_within_days is None:
        return counted
    return of_bill.where(is_within(bill_days, rule.one_within_days), counted)


def is_within(days: Column, range_of_days: tuple[int, int]) -> Mask:
    """Which numbers of days are in a range, both ends included."""
    low, high = (Column.constant(end) for end in range_of_days)
    return ~low.exceeds(days) & ~days.exceeds(high)


def count_text(value: Fraction) -> str:
    """A number of months, days or bills: exactly where its decimals end, else with four."""
    if 10**_MOST_PLACES % value.denominator == 0:
        return decimal_text(value)
    return scaled_text(round_half_up(value * 10**_COUNT_PLACES), places=_COUNT_PLACES, trim=True)


def counted_in_words(value: Fraction, unit: str) -> str:
    """ "1 month", "0.9742 months"."""
    return f"{count_text(value)} {unit}" if value == 1 else f"{count_text(value)} {unit}s"


def months_in_words(
    rule: MonthCount, *, period: Period, bill: Period, counted: Fraction
) -> str | None:
    """The days behind a count of months, "19 of 30 days in June"; None for whole months."""
    within = rule.one_within_days
    if rule.count == "one" or (within and within[0] <= bill.days <= within[1]):
        return share_in_words(period=period, bill=bill)
    if rule.count == "thirtieths":
        words = None if period.days == 30 else f"{period.days} of 30 days"
    else:
        words = _days_of_months(period)
    if words is None or rule.places is None:
        return words
    return f"{words}, rounded to {counted_in_words(counted, 'month')}"


def share_in_words(*, period: Period, bill: Period) -> str | None:
    """ "14 of 31 days of the bill", or None for the whole bill."""
    return None if period == bill else f"{period.days} of {bill.days} days of the bill"


def _days_of_months(period: Period) -> str | None:
    months: list[tuple[int, int, str]] = []
    day = period.start
    while day < period.end:
        until = min(next_month(day), period.end)
        months.append(((until - day).days, monthrange(day.year, day.month)[1], f"{day:%B}"))
        day = until
    if all(days == length for days, length, _ in months):
        return None
    return ", ".join(f"{days} of {length} days in {name}" for days, length, name in months)
