"""Usage: what no meter can have measured is refused, and registers become energy."""

from datetime import date
from typing import Any

import numpy as np
import pytest

from services.domain.period import Period
from services.domain.rating import (
    RegisterSpan,
    UnableToPriceBill,
    Usage,
    UsageBatch,
    usage_from_registers,
    wh_of_registers,
)

DAYS = {"start": np.array([20_000, 20_000]), "end": np.array([20_030, 20_031])}


@pytest.mark.parametrize(
    "fields",
    [
        {"wh": -1},
        {"wh": True},
        {"wh": 1.0},
        {"wh": 1, "peak_w": -1},
        {"wh": 1, "past_peaks_w": (5, -1)},
        {"wh": 1, "by_period": {"hours": {"day": -1}}},
        {"wh": 1, "carried_minor": 0.5},
    ],
)
def test_what_is_no_usage_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UnableToPriceBill):
        Usage(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"wh": np.array([1, -1])},
        {"wh": np.array([1.0, 2.0])},
        {"wh": np.array([1, 2]), "peak_w": np.array([1])},
        {"wh": np.array([1, 2]), "by_period": {"hours": {"day": np.array([0, -1])}}},
        {"wh": np.array([1, 2]), "end": np.array([20_030, 20_000])},
    ],
)
def test_columns_that_are_no_usage_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UnableToPriceBill):
        UsageBatch(**{**DAYS, **fields})


def test_a_row_of_a_batch_is_the_usage_it_was_made_of() -> None:
    usage = Usage(
        wh=5000,
        export_wh=3,
        by_period={"hours": {"day": 2000, "night": 3000}},
        wh_before={date(2025, 6, 11): 100},
        peak_w=700,
        past_peaks_w=(3, 2, 1),
        carried_minor=-7,
        charged_this_year_minor=-5,
        closes_year=True,
    )
    period = Period(date(2025, 6, 1), date(2025, 7, 1))
    assert UsageBatch.of_one(usage, period).row(0) == (usage, period)


def test_registers_turn_over_and_have_multipliers() -> None:
    assert RegisterSpan(99_986_000, 11_000, dials=5).wh == 25_000
    assert RegisterSpan(0, 10_001, dials=5, multiplier_milli=2500).wh == 25_003  # 25,002.5


def test_a_meter_exchanged_within_a_bill_adds_up() -> None:
    old, new = RegisterSpan(5_000_000, 5_040_000, 5), RegisterSpan(0, 60_000, 6)
    assert usage_from_registers(imported=[old, new]).wh == 100_000


def test_registers_of_periods_add_up_to_the_use() -> None:
    day, night = RegisterSpan(0, 40_000, 5), RegisterSpan(0, 60_000, 5)
    usage = usage_from_registers(
        by_period={"hours": {"day": [day], "night": [night]}},
        exported=[day],
        apparent=[day, night],
        reactive=[night],
    )
    assert (usage.wh, usage.export_wh, usage.vah, usage.varh) == (100_000, 40_000, 100_000, 60_000)
    assert usage.by_period == {"hours": {"day": 40_000, "night": 60_000}}


def test_many_registers_at_once_are_as_each_alone() -> None:
    spans = [(99_986_000, 11_000, 5, 1000), (0, 10_001, 5, 2500), (7, 7, 6, 1000)]
    opening, closing, dials, multiplier = (np.array(column) for column in zip(*spans, strict=True))
    wh = wh_of_registers(
        opening_wh=opening, closing_wh=closing, dials=dials, multiplier_milli=multiplier
    )
    assert wh.tolist() == [RegisterSpan(*span).wh for span in spans]
