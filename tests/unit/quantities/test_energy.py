"""Energy is read exactly into Wh, and what cannot be a reading is refused in plain words."""

import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.quantities.energy import InvalidEnergy, format_kwh, parse_kwh, parse_multiplier


@pytest.mark.parametrize(
    ("value", "wh"),
    [
        ("1117", 1_117_000),
        (" 1117.5 ", 1_117_500),
        ("0.001", 1),
        ("0", 0),
        ("-0", 0),
        (".5", 500),
        (1117, 1_117_000),
        (Decimal("1117.125"), 1_117_125),
        (Decimal("1.1E+3"), 1_100_000),
        (Decimal("0E+999999"), 0),
        ("999999999999.999", 999_999_999_999_999),
    ],
)
def test_a_reading_is_kept_exactly_in_wh(value: str | int | Decimal, wh: int) -> None:
    assert parse_kwh(value) == wh


def test_zeros_that_a_meter_sends_after_the_third_decimal_are_accepted() -> None:
    assert parse_kwh("1117.50000") == 1_117_500


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "is missing"),
        ("   ", "is missing"),
        ("abc", "must be a number"),
        ("1_000", "must be a number"),
        ("0x10", "must be a number"),
        ("１２", "must be a number"),
        ("1,117", "without commas"),
        ("nan", "must be a number, not nan"),
        ("-Infinity", "must be a number, not -Infinity"),
        (Decimal("NaN"), "must be a number"),
        (Decimal("sNaN"), "must be a number"),
        (Decimal("Infinity"), "must be a number"),
        ("-1", "cannot be negative"),
        (-1, "cannot be negative"),
        (Decimal("-0.001"), "cannot be negative"),
        ("1.2345", "at most 3 decimals"),
        ("0.0001", "at most 3 decimals"),
        ("1000000000000", "larger than any meter can show"),
        (True, "must be written as a number"),
        (1117.0, "must be written as a number"),
        (None, "must be written as a number"),
    ],
)
def test_what_is_no_reading_is_refused_with_the_reason(value: object, why: str) -> None:
    with pytest.raises(InvalidEnergy, match=why) as refused:
        parse_kwh(value)  # type: ignore[arg-type]
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    "value",
    [
        "1e400",
        "1e999999",
        "1e-999999",
        "9" * 5000,
        Decimal("1e400"),
        Decimal("1e999999"),
        Decimal("1e-999999"),
        Decimal("-1e999999"),
        10**400,
        -(10**400),
        1 << 1_000_000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_giant_values_are_refused_without_being_computed(value: str | int | Decimal) -> None:
    begun = time.perf_counter()
    with pytest.raises(InvalidEnergy) as refused:
        parse_kwh(value)
    assert time.perf_counter() - begun < 0.5
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    ("wh", "text"),
    [(1_117_000, "1117"), (1_117_500, "1117.5"), (1, "0.001"), (0, "0"), (-500, "-0.5")],
)
def test_kwh_are_written_without_end_zeros(wh: int, text: str) -> None:
    assert format_kwh(wh) == text


@given(wh=st.integers(0, 10**15 - 1))
@settings(deadline=None)
def test_a_written_value_reads_back_as_the_same_wh(wh: int) -> None:
    assert parse_kwh(format_kwh(wh)) == wh


@pytest.mark.parametrize(
    ("value", "milli"), [("1", 1000), ("0.5", 500), (40, 40_000), (Decimal("0.025"), 25)]
)
def test_a_multiplier_is_kept_in_thousandths(value: str | int | Decimal, milli: int) -> None:
    assert parse_multiplier(value) == milli


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("0", "more than 0"),
        ("-1", "negative"),
        ("0.0005", "3 decimals"),
        ("", "multiplier is missing"),
    ],
)
def test_an_impossible_multiplier_is_refused(value: str, why: str) -> None:
    with pytest.raises(InvalidEnergy, match=why):
        parse_multiplier(value)
