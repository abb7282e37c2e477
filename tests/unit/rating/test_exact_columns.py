"""Columns are exact whatever their size, and round as each mode says."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.quantities.money import decimal_text
from services.rating.exact_columns import (
    Column,
    floor_quotient,
    quotient,
    share,
    stacked,
    total,
    whole_numbers,
)
from services.tariffs import RoundingMode

HUGE = 2**62
NUMBERS = st.lists(st.integers(-(10**30), 10**30), min_size=1, max_size=5)


def _values(column: Column, rows: int) -> list[Fraction]:
    return [column.at(row) for row in range(rows)]


@settings(deadline=None)
@given(numbers=NUMBERS, factor=st.fractions(-(10**9), 10**9))
def test_sums_and_products_are_those_of_fractions(numbers: list[int], factor: Fraction) -> None:
    column, by = Column.of(whole_numbers(numbers)), Column.constant(factor)
    rows = len(numbers)
    assert _values(column * by, rows) == [n * factor for n in numbers]
    assert _values(column + by, rows) == [n + factor for n in numbers]
    assert _values(column - by, rows) == [n - factor for n in numbers]
    assert _values(column.at_most(by), rows) == [min(n, factor) for n in numbers]
    assert _values(column.at_least(by), rows) == [max(n, factor) for n in numbers]
    assert list(column.exceeds(by)) == [n > factor for n in numbers]


@settings(deadline=None)
@given(
    numbers=NUMBERS,
    den=st.sampled_from([1, 2, 8, 1000, 10**6]),
    over=st.sampled_from([1, 1000]),
    least=st.integers(0, 4),
)
def test_texts_in_columns_are_those_of_each_number(
    numbers: list[int], den: int, over: int, least: int
) -> None:
    column = Column.of(whole_numbers(numbers)).times(Fraction(1, den))
    texts = [decimal_text(Fraction(number, den * over), least_places=least) for number in numbers]
    assert column.texts(len(numbers), least_places=least, over=over) == texts
    rows = range(len(numbers))
    assert [column.text(row, least_places=least, over=over) for row in rows] == texts


def test_a_product_too_large_for_int64_becomes_one_of_python_integers() -> None:
    column = Column.of(np.array([3, HUGE]))
    product = column * column
    assert product.num.dtype == object
    assert _values(product, 2) == [9, HUGE**2]


def test_what_fits_again_is_int64_again() -> None:
    huge = Column.of(np.array([HUGE, 8]))
    back = (huge * huge).times(Fraction(1, HUGE)).rounded()
    assert back.num.dtype == np.int64
    assert back.num.tolist() == [HUGE, 0]


def test_a_column_of_zeros_takes_a_factor_larger_than_int64() -> None:
    assert Column.of(np.array([0])).times(10**30).at(0) == 0


MODES: list[tuple[RoundingMode, list[int]]] = [
    ("half_up", [3, 2, 1, 1, 0, 0, -1, -1, -2, -3]),
    ("half_even", [2, 2, 1, 0, 0, 0, 0, -1, -2, -2]),
    ("down", [2, 1, 0, 0, 0, 0, 0, 0, -1, -2]),
    ("up", [3, 2, 1, 1, 1, -1, -1, -1, -2, -3]),
]


@pytest.mark.parametrize(("mode", "expected"), MODES)
def test_the_four_modes_mirror_credits(mode: RoundingMode, expected: list[int]) -> None:
    tenths = [25, 15, 7, 5, 1, -1, -5, -7, -15, -25]
    column = Column.of(np.array(tenths)).times(Fraction(1, 10))
    assert column.rounded(mode).num.tolist() == expected


def test_rounding_to_a_multiple() -> None:
    cents = Column.of(np.array([1233, 1262, -1263])).times(Fraction(1, 100))
    assert _values(cents.rounded(to=Fraction(5)), 3) == [10, 15, -15]
    assert _values(cents.rounded("down", Fraction(1, 20)), 3) == [
        Fraction("12.30"),
        Fraction("12.60"),
        Fraction("-12.60"),
    ]


@settings(deadline=None)
@given(
    whole=st.integers(0, 10**25), weights=st.lists(st.integers(0, 10**25), min_size=1, max_size=6)
)
def test_shares_are_never_negative_and_add_up(whole: int, weights: list[int]) -> None:
    parts = [
        part.at(0) for part in share(Column.constant(whole), [Column.constant(w) for w in weights])
    ]
    assert sum(parts) == (whole if any(weights) else 0)
    for part, weight in zip(parts, weights, strict=True):
        assert part >= 0
        if any(weights):
            assert abs(part - Fraction(whole * weight, sum(weights))) <= 1


def test_shares_round_the_running_share_half_up() -> None:
    # 10 × 1/4 = 2.5 → 3, 10 × 2/4 = 5, 10 × 3/4 = 7.5 → 8, 10.
    parts = share(Column.constant(10), [Column.constant(1)] * 4)
    assert [part.at(0) for part in parts] == [3, 2, 3, 2]


def test_a_quotient_by_zero_is_zero() -> None:
    above, below = Column.of(np.array([7, 7, 0])), Column.of(np.array([2, 0, 5]))
    assert floor_quotient(above, below).num.tolist() == [3, 0, 0]
    assert quotient(above, below).num.tolist() == [4, 0, 0]


@pytest.mark.parametrize("values", [[1.0, 2.0], [True, False], ["1"], [None]])
def test_what_is_no_whole_number_is_no_column(values: list[object]) -> None:
    with pytest.raises(TypeError):
        whole_numbers(np.array(values))


def test_small_and_unsigned_integers_are_taken_as_they_are() -> None:
    assert whole_numbers(np.array([1, 2], dtype=np.int16)).dtype == np.int64
    assert whole_numbers(np.array([2**63 + 1], dtype=np.uint64)).tolist() == [2**63 + 1]


def test_columns_are_stacked_over_one_denominator() -> None:
    thirds, halves = Column.constant(Fraction(1, 3)), Column.of(np.array([1, 3]))
    column = stacked([thirds, halves.times(Fraction(1, 2))], [2, 2])
    assert _values(column, 4) == [Fraction(1, 3)] * 2 + [Fraction(1, 2), Fraction(3, 2)]


def test_numbers_are_reduced_together() -> None:
    column = Column.of(np.array([4, 6])).times(Fraction(1, 8)).reduced()
    assert (column.num.tolist(), column.den) == ([2, 3], 4)


@pytest.mark.parametrize(
    ("value", "least", "text"),
    [(Fraction(1, 8), 2, "0.125"), (Fraction(5), 2, "5.00"), (Fraction(-1, 2), 0, "-0.5")],
)
def test_decimals_are_written_with_all_their_places(value: Fraction, least: int, text: str) -> None:
    assert decimal_text(value, least_places=least) == text


def test_the_sum_of_no_columns_is_zero() -> None:
    assert total([]).at(0) == 0
