"""The few sums that every part of a bill needs, written with exact fractions and plain loops."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Any

Json = Mapping[str, Any]

CURRENCY_PLACES = {"JPY": 0, "USD": 2, "INR": 2, "EUR": 2, "KWD": 3}


def half_up(value: Fraction | int) -> int:
    """The nearest whole number; a half goes away from zero."""
    return _whole(value.numerator, value.denominator, "half_up")


def to_multiple(value: Fraction, step: Fraction, mode: str) -> Fraction:
    """`value` rounded to a whole multiple of `step`: down is toward zero, up is away from it."""
    steps = value / step
    return _whole(steps.numerator, steps.denominator, mode) * step


def _whole(numerator: int, denominator: int, mode: str) -> int:
    below, rest = divmod(abs(numerator), denominator)
    if mode == "down":
        away = False
    elif mode == "up":
        away = rest > 0
    elif 2 * rest == denominator:
        away = mode == "half_up" or below % 2 == 1
    else:
        away = 2 * rest > denominator
    count = below + 1 if away else below
    return -count if numerator < 0 else count


def shared(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts by `weights`: each is the growth of the rounded running share."""
    whole = sum(weights)
    parts = []
    so_far = given = 0
    for weight in weights:
        so_far += weight
        reached = _whole(total * so_far, whole, "half_up") if whole else 0
        parts.append(reached - given)
        given = reached
    return parts


@lru_cache(maxsize=10_000)
def days_between(start: date, end: date) -> tuple[date, ...]:
    """Every local day from `start` up to, and not including, `end`."""
    return tuple(start + timedelta(days=n) for n in range((end - start).days))


def month_count(rule: Json, start: date, end: date) -> Fraction:
    """How many months a period is, by a `months` rule."""
    if is_one_month(rule, start, end):
        return Fraction(1)
    if rule.get("count", "calendar") == "thirtieths":
        count = Fraction((end - start).days, 30)
    else:
        count = calendar_months(start, end)
    places = rule.get("places")
    if places is None:
        return count
    return to_multiple(count, Fraction(1, 10**places), "half_up")


@lru_cache(maxsize=100_000)
def calendar_months(start: date, end: date) -> Fraction:
    """Each day is one of the days of its own month: 19 days of June are 19/30 month."""
    days: dict[tuple[int, int], int] = {}
    for day in days_between(start, end):
        days[day.year, day.month] = days.get((day.year, day.month), 0) + 1
    return sum((Fraction(n, monthrange(*month)[1]) for month, n in days.items()), Fraction(0))


def is_one_month(rule: Json, start: date, end: date) -> bool:
    """Whether the rule takes a period of these days for one month, whatever its days."""
    within = rule.get("one_within_days")
    if within and within[0] <= (end - start).days <= within[1]:
        return True
    return rule.get("count") == "one"
