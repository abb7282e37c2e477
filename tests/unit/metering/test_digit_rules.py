"""What explains a doubtful reading: digits, decimal points, factors, other meters and registers."""

from datetime import date, timedelta

import pytest

from services.metering.digit_rules import Doubtful, explanations, power_of_ten
from services.metering.outcomes import RuleOutcome
from services.metering.recent_use import Use
from services.metering.swapped_reads import SwappedReads
from services.records.readings import ReadPoint

START = date(2025, 1, 1)


def doubtful(wh: int, *, last_kwh: int = 12_000, milli: int = 1000) -> Doubtful:
    """Of a meter that uses 10 kWh a day, a month after its last read."""
    history = [
        ReadPoint(1000 * (last_kwh - 300 * (12 - n)), START + timedelta(days=30 * n))
        for n in range(13)
    ]
    use = Use.of(START + timedelta(days=390), history[-1], history, 5, milli)
    return Doubtful(wh, history[-1], use, 5, milli)


def explained(wh: int, **meter: int) -> dict[str, RuleOutcome]:
    return {one.rule: one for one in explanations(doubtful(wh, **meter))}


def test_two_digits_typed_the_wrong_way_round() -> None:
    found = explained(13_200_000)["transposed_digits"]
    assert found.outcome == "warn"
    assert found.values == {"register_wh": 12_300_000, "used_wh": 300_000}
    assert found.message == (
        "If two digits side by side are swapped, the meter showed 12,300 kWh, which is 300 kWh in "
        "30 days, as expected."
    )


@pytest.mark.parametrize(("wh", "right"), [(42_310_000, 12_310_000), (12_900_000, 12_300_000)])
def test_one_wrong_digit(wh: int, right: int) -> None:
    assert explained(wh)["wrong_digit"].values["register_wh"] == right


@pytest.mark.parametrize(
    ("wh", "last_kwh", "right"), [(23_050_000, 2_000, 2_305_000), (1_230_500, 12_000, 12_305_000)]
)
def test_a_decimal_point_in_the_wrong_place(wh: int, last_kwh: int, right: int) -> None:
    assert explained(wh, last_kwh=last_kwh)["missed_decimal"].values["register_wh"] == right


@pytest.mark.parametrize(("used", "words"), [(3000, "ten times"), (30, "a tenth of")])
def test_ten_times_and_a_tenth_of_what_is_expected(used: int, words: str) -> None:
    found = power_of_ten(doubtful(12_000_000 + 1000 * used))
    assert found is not None
    assert words in found.message


def test_a_multiplier_that_the_value_holds_already() -> None:
    # 40 times 300 kWh of the register: the use itself was written down as what the meter shows.
    found = explained(12_000_000 + 40 * 300_000, milli=40_000)["exact_multiple"]
    assert found.values["corrected_wh"] == 40 * 300_000
    assert "look at the multiplier" in found.message


def test_another_register_of_the_meter() -> None:
    (found, *_) = explanations(doubtful(4_310_000), other_registers={"peak": 4_000_000})
    assert found.rule == "other_register"
    assert found.message.startswith("Register peak showed 4,000 kWh at the last read")


def test_a_use_that_nothing_explains() -> None:
    assert not explained(99_000_000, last_kwh=6000)


def test_two_meters_whose_readings_were_swapped() -> None:
    swaps, day = SwappedReads(), START + timedelta(days=390)
    swaps.add(1, "A", day, doubtful(30_300_000, last_kwh=12_000))
    swaps.add(2, "B", day, doubtful(12_300_000, last_kwh=30_000))
    swaps.add(3, "C", day, doubtful(70_000_000, last_kwh=50_000))
    swaps.add(4, "D", day - timedelta(days=1), doubtful(30_300_000, last_kwh=12_000))
    found = dict(swaps.outcomes())
    assert sorted(found) == [1, 2]
    assert "the one of meter B of the same day fit each other's meters" in found[1].message
