"""Many bills at once are the bills one by one."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from services.rating import UsageBatch, batch, rate_each, rate_many
from services.tariffs import day_number
from tests.unit.rating.pricing import fixed, flat, slabs, tariff

START = day_number(date(2025, 1, 1))
SIZE = 23


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "CHUNK", 5)


def _usage(**more: Any) -> UsageBatch:
    lengths = np.arange(SIZE) % 40 + 1
    start = START + np.arange(SIZE)
    return UsageBatch(start=start, end=start + lengths, wh=np.arange(SIZE) * 12_345, **more)


def test_a_batch_has_the_amounts_of_its_bills() -> None:
    rate = tariff(
        slabs(("30", "3.15"), ("90", "3.70"), (None, "4.80"), slab_limits_per="month"),
        fixed("55", "month", proration="days"),
        fixed("-5", code="credit", when={"kwh_up_to": "100", "per": "bill"}),
        {"code": "duty", "kind": "percent", "percent": "10", "of": ["energy"], "tax": True},
        rounding={"total": {"to": "1", "carry_forward": True}},
    )
    rated = rate_many(tariff=rate, batch=_usage(carried_minor=np.arange(SIZE) % 3))
    assert len(rated) == SIZE
    for row in range(SIZE):
        bill = rated.bill(row)
        assert bill.total_minor == rated.total_minor[row]
        assert bill.tax_minor == rated.tax_minor[row]
        shown = [
            (line.code, int(line.amount_minor[row])) for line in rated.lines if line.present[row]
        ]
        assert shown == [(line.code, line.amount_minor) for line in bill.lines]


def test_quantities_are_whole_numbers_over_a_scale() -> None:
    rated = rate_many(tariff=tariff(flat(), fixed("55", "month", proration="days")), batch=_usage())
    energy, monthly = rated.lines
    assert (energy.quantity / energy.scale)[3] == 37.035
    # 5 January and 4 days more
    assert (monthly.quantity / monthly.scale)[4] == 5 / 31


def test_a_charge_that_only_some_bills_have_is_a_line_of_all() -> None:
    above = flat("above", "1", when={"kwh_above": "200", "per": "bill"})
    rated = rate_many(tariff=tariff(flat(), above), batch=_usage())
    line = rated.lines[1]
    assert line.present.tolist() == [kwh > 200_000 for kwh in np.arange(SIZE) * 12_345]
    assert not line.amount_minor[~line.present].any()


def test_one_huge_bill_among_small_ones_is_exact_too() -> None:
    wh = np.array([1000, 10**30, 2000], dtype=object)
    start = np.full(3, START)
    rated = rate_many(
        tariff=tariff(flat(rate="0.123456789012")),
        batch=UsageBatch(start=start, end=start + 30, wh=wh),
    )
    assert rated.total_minor.tolist() == [12, 12_345_678_901_200_000 * 10**12, 25]


def test_lines_that_fit_int64_may_come_to_more_together() -> None:
    wh = np.array([6 * 10**16, 1000])
    codes = ("a", "b", "tax")
    charges = [flat(code, rate="1000", tax=code == "tax") for code in codes]
    start = np.full(2, START)
    batch = UsageBatch(start=start, end=start + 30, wh=wh)
    rated = rate_many(tariff=tariff(*charges), batch=batch)
    of_line = 6 * 10**18  # below 2^63, twice it is not
    assert rated.lines[0].amount_minor.dtype == np.int64
    assert rated.subtotal_minor.tolist() == [2 * of_line, 200_000]
    assert rated.tax_minor.tolist() == [of_line, 100_000]
    assert rated.total_minor.tolist() == [3 * of_line, 300_000]


def test_no_bills_are_no_lines() -> None:
    none = np.array([], dtype=np.int64)
    rated = rate_many(tariff=tariff(flat()), batch=UsageBatch(start=none, end=none, wh=none))
    assert (len(rated), rated.total_minor.tolist()) == (0, [])


def test_periods_over_years_have_the_months_of_the_calendar() -> None:
    rate = tariff(fixed("31", "month", proration="days"))
    begin, end = date(2023, 12, 31), date(2025, 1, 2)
    one = UsageBatch(
        start=np.array([day_number(begin)]), end=np.array([day_number(end)]), wh=np.array([0])
    )
    # 1/31 + 12 + 1/31
    assert rate_many(tariff=rate, batch=one).total_minor.tolist() == [100 + 37_200 + 100]
    assert (end - begin) == timedelta(days=368)


def test_bills_that_are_charged_nothing_have_no_lines_each() -> None:
    small = tariff(fixed("5", code="credit", when={"kwh_up_to": "1", "per": "bill"}))
    usage = UsageBatch(start=np.full(3, START), end=np.full(3, START + 30), wh=np.full(3, 5000))
    assert [bill.lines for bill in rate_each(tariff=small, batch=usage)] == [(), (), ()]
