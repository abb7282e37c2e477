"""Usage: what no meter can have measured is refused, and registers become energy."""

from datetime import date
from typing import Any

import numpy as np
import pytest

from services.quantities.period import Period
from services.rating import (
    BillingDeterminants,
    UnableToPriceBill,
    UsageBatch,
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
        BillingDeterminants(**fields)


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
    usage = BillingDeterminants(
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
