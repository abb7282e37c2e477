"""Exact columns: a number for each of N bills, with no floats and no overflow.

A column is N whole numbers over one denominator, so 3.15 a kWh is 315 / 100 and a third of a month
is 1 / 3. The whole numbers are int64 while they surely fit. Every sum and product is bounded before
it is made, and where int64 could overflow the column becomes one of Python integers, which are slow
but have no limit: the result is the same number either way.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import gcd, lcm
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from services.quantities.money import decimal_text
from services.tariffs import RoundingMode, exact

Whole = npt.NDArray[Any]  # int64, or object for Python integers
Mask = npt.NDArray[np.bool_]

_LARGEST: Final = 2**63 - 1
_WHOLE: Final = Fraction(1)


class Column:
    """N exact numbers `num[i] / den`; a constant has one row and goes with any N.

    `most` is at least the largest |num|. Columns are never changed in place.
    """

    __slots__ = ("den", "most", "num")

    def __init__(self, num: Whole, den: int, most: int) -> None:
        self.num = num.astype(np.int64) if num.dtype == object and most <= _LARGEST else num
        self.den = den
        self.most = most

    @classmethod
    def of(cls, whole: Whole) -> Self:
        """A column of whole numbers, as `whole_numbers` made them."""
        return cls(whole, 1, _largest(whole))

    @classmethod
    def constant(cls, value: Fraction | int) -> Self:
        """One number for all bills."""
        num, den = value.numerator, value.denominator
        return cls(whole_numbers([num]), den, abs(num))

    def __add__(self, other: "Column") -> "Column":
        left, right = _over_one_denominator(self, other)
        most = left.most + right.most
        if most > _LARGEST:
            most = _largest(left.num) + _largest(right.num)
        return Column(_roomy(left.num, most) + right.num, left.den, most)

    def __neg__(self) -> "Column":
        return Column(-self.num, self.den, self.most)

    def __sub__(self, other: "Column") -> "Column":
        return self + -other

    def __mul__(self, other: "Column") -> "Column":
        most = self.most * other.most
        if most > _LARGEST:
            most = _largest(self.num) * _largest(other.num)
        return Column(_roomy(self.num, most) * other.num, self.den * other.den, most)

    def times(self, factor: Fraction | int) -> "Column":
        """Each number times one factor that is not negative."""
        by, den = factor.numerator, self.den * factor.denominator
        if by == 1:
            return Column(self.num, den, self.most)
        most = self.most * by
        if most > _LARGEST:
            most = _largest(self.num) * by
        # Also a column of zeros must have room for the factor itself.
        return Column(_roomy(self.num, max(most, by)) * by, den, most)

    def at_most(self, other: "Column") -> "Column":
        """The smaller of the two, bill by bill."""
        left, right = _over_one_denominator(self, other)
        return Column(np.minimum(left.num, right.num), left.den, max(left.most, right.most))

    def at_least(self, other: "Column") -> "Column":
        """The larger of the two, bill by bill."""
        left, right = _over_one_denominator(self, other)
        return Column(np.maximum(left.num, right.num), left.den, max(left.most, right.most))

    def exceeds(self, other: "Column") -> Mask:
        """For which bills this is more than the other."""
        left, right = _over_one_denominator(self, other)
        more: Mask = left.num > right.num
        return more

    def where(self, mask: Mask, other: "Column") -> "Column":
        """This where the mask is true, elsewhere the other."""
        left, right = _over_one_denominator(self, other)
        chosen = np.where(mask, left.num, right.num)
        return Column(chosen, left.den, max(left.most, right.most))

    def only(self, mask: Mask) -> "Column":
        """This where the mask is true, elsewhere 0."""
        return self.where(mask, ZERO)

    def rounded(self, mode: RoundingMode = "half_up", to: Fraction = _WHOLE) -> "Column":
        """The nearest multiple of `to`; ties and directions as the mode says, credits mirrored."""
        return self.steps(mode, to).times(to)

    def steps(self, mode: RoundingMode = "half_up", of: Fraction = _WHOLE) -> "Column":
        """How many whole steps of a size the nearest multiple of it is."""
        scaled, divisor = self.times(of.denominator), self.den * of.numerator
        steps = _nearest(_roomy(scaled.num, divisor), divisor, mode)
        return Column(steps, 1, scaled.most // divisor + 1)

    def reduced(self) -> "Column":
        """The same numbers over the smallest denominator, which keeps later products small."""
        common = gcd(int(np.gcd.reduce(self.num, initial=0)), self.den)
        return Column(self.num // common, self.den // common, self.most // common)

    def at(self, row: int) -> Fraction:
        """The exact number of one bill."""
        return Fraction(self._num_at(row), self.den)

    def text(self, row: int, *, least_places: int = 0, over: int = 1) -> str:
        """The number of one bill divided by `over`, as `decimal_text` writes it."""
        den = self.den * over
        places = _decimal_places(den)
        if places is None:
            return decimal_text(Fraction(self._num_at(row), den), least_places=least_places)
        return _trimmed(self._num_at(row) * (10**places // den), places, least_places)

    def texts(self, rows: int, *, least_places: int = 0, over: int = 1) -> list[str]:
        """The numbers of all of so many bills, as `text` writes each."""
        den = self.den * over
        places = _decimal_places(den)
        if len(self.num) == 1:
            return [self.text(0, least_places=least_places, over=over)] * rows
        if places is None:
            return [self.text(n, least_places=least_places, over=over) for n in range(rows)]
        factor = 10**places // den
        return [_trimmed(num * factor, places, least_places) for num in self.num.tolist()]

    def _num_at(self, row: int) -> int:
        return int(self.num[row if len(self.num) > 1 else 0])


def whole_numbers(values: Sequence[int] | Whole) -> Whole:
    """Whole numbers as int64, or as Python integers where one is larger than that."""
    array = np.asarray(values)
    if array.dtype == np.int64:
        return array
    if array.dtype.kind in "iu" and array.dtype != np.uint64:
        return array.astype(np.int64)
    numbers = np.asarray(values, dtype=object)
    if array.dtype.kind == "b" or not all(
        isinstance(number, (int, np.integer)) for number in numbers.flat
    ):
        raise TypeError("These are not whole numbers.")
    return numbers.astype(np.int64) if _largest(numbers) <= _LARGEST else numbers


def total(columns: Sequence[Column]) -> Column:
    """The sum of columns, bill by bill."""
    result = ZERO
    for column in columns:
        result = column if result is ZERO else result + column
    return result


def stacked(columns: Sequence[Column], sizes: Sequence[int]) -> Column:
    """Columns one below the other, each of so many rows; one constant where all are that."""
    den = lcm(*(column.den for column in columns))
    parts = [_over(column, den) for column in columns]
    most = max(part.most for part in parts)
    if all(len(part.num) == 1 and part.num[0] == parts[0].num[0] for part in parts):
        return Column(parts[0].num, den, most)
    rows = [np.broadcast_to(part.num, size) for part, size in zip(parts, sizes, strict=True)]
    return Column(np.concatenate(rows), den, most)


def quotient(dividend: Column, divisor: Column) -> Column:
    """The nearest whole number, half up, of two columns of the same unit that are never negative.

    0 where the divisor is 0.
    """
    return floor_quotient(dividend.times(2) + divisor, divisor.times(2))


def floor_quotient(dividend: Column, divisor: Column) -> Column:
    """The whole part of a quotient of two columns that are never negative; 0 where it is by 0."""
    above, below = _over_one_denominator(dividend, divisor)
    some = below.num > 0
    whole = above.num // np.where(some, below.num, 1)
    found = np.where(some, whole, 0)
    return Column(found, 1, above.most if above.most <= _LARGEST else _largest(found))


def share(whole: Column, weights: Sequence[Column]) -> list[Column]:
    """Whole numbers shared by weights so that the parts add up: by cumulative rounding, half up.

    The parts up to the k-th are round(whole × (w_1 + … + w_k) / (w_1 + … + w_n)).
    """
    of_all = total(weights)
    parts: list[Column] = []
    weight = given = ZERO
    for one in weights:
        weight = weight + one
        reached = quotient(whole * weight, of_all)
        parts.append(reached - given)
        given = reached
    return parts


@lru_cache(maxsize=4096)
def decimal(text: str) -> Column:
    """A decimal string of a tariff, or a ratio such as "1/3", as a constant."""
    return Column.constant(exact(text))


@lru_cache(maxsize=4096)
def _decimal_places(den: int) -> int | None:
    """In how many decimals every number over this denominator ends; None where some do not."""
    rest = den
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    if rest > 1:
        return None
    places = 0
    while 10**places % den:
        places += 1
    return places


def _trimmed(units: int, places: int, least_places: int) -> str:
    """`units` × 10^-places without zeros at its end, but with so many places at least."""
    digits = str(abs(units)).zfill(places + 1)
    whole, decimals = digits[: len(digits) - places], digits[len(digits) - places :]
    decimals = decimals.rstrip("0").ljust(least_places, "0")
    sign = "-" if units < 0 else ""
    return f"{sign}{whole}.{decimals}" if decimals else sign + whole


def _largest(num: Whole) -> int:
    return int(np.abs(num).max(initial=0))


def _roomy(num: Whole, most: int) -> Whole:
    """Python integers if a result, or what it is made with, may be larger than int64 holds."""
    return num if most <= _LARGEST else num.astype(object)


def _over_one_denominator(left: Column, right: Column) -> tuple[Column, Column]:
    if left.den == right.den:
        return left, right
    den = lcm(left.den, right.den)
    return _over(left, den), _over(right, den)


def _over(column: Column, den: int) -> Column:
    scaled = column.times(den // column.den)
    return Column(scaled.num, den, scaled.most)


def _nearest(num: Whole, divisor: int, mode: RoundingMode) -> Whole:
    """num / divisor as whole numbers; sizes are rounded, so that credits mirror charges."""
    size = np.abs(num)
    whole = size // divisor
    rest = size - whole * divisor
    missing = divisor - rest
    one_more: Mask | bool = False  # down
    match mode:
        case "up":
            one_more = rest > 0
        case "half_up":
            one_more = rest >= missing
        case "half_even":
            one_more = (rest > missing) | ((rest == missing) & (whole % 2 == 1))
    steps = whole + one_more
    return np.where(num < 0, -steps, steps)


ZERO: Final = Column.constant(0)
ONE: Final = Column.constant(1)
