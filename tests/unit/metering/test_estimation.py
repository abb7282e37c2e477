"""Estimates by each rule, worked out by hand, and when there is none."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.metering.estimation import CannotEstimate, Estimate, estimate
from services.records.readings import EstimateFacts, Read, ReadPoint, SeasonUse

DEC_1 = date(2026, 12, 1)
NOV_1 = date(2026, 11, 1)


def point(kwh: int, on: date) -> ReadPoint:
    return ReadPoint(register_wh=kwh * 1000, read_on=on)


def monthly(first: date, *kwhs: int) -> list[ReadPoint]:
    """A read on the 1st of each month from `first` on, after so many kWh each."""
    reads, total = [], 1000
    for n, kwh in enumerate((0, *kwhs)):
        total += kwh
        month = first.month - 1 + n
        reads.append(point(total, date(first.year + month // 12, month % 12 + 1, 1)))
    return reads


def facts(*reads: ReadPoint, **more: Any) -> EstimateFacts:
    last = reads[-1]
    given: dict[str, Any] = {
        "agreement_id": "a",
        "meter_id": "m",
        "serial": "M1",
        "dials": 5,
        "multiplier_milli": 1000,
        "registers": (),
        "connected_w": None,
        "last": Read(
            id="r",
            meter_id="m",
            read_at=datetime(last.read_on.year, last.read_on.month, last.read_on.day, tzinfo=UTC),
            read_on=last.read_on,
            register_wh=last.register_wh,
        ),
        "reads": reads,
        "in_a_row": 0,
        "waiting_on": None,
        "later_on": None,
        "disconnected": False,
        "class_use": None,
    }
    return EstimateFacts.model_validate(given | more)


def made(known: EstimateFacts, on: date = DEC_1, most: int = 3) -> Estimate:
    return estimate(known, on=on, most_in_a_row=most)


def test_the_same_season_of_last_year_scaled_by_recent_use() -> None:
    # August to October: 92 days, 310 + 300 + 310 last year and half as much more this year.
    year = (300, 310, 300, 310, 310, 300, 310, 600, 620, 310, 280, 310)
    reads = monthly(date(2025, 4, 1), *year, 300, 310, 300, 465, 465, 450, 465)
    found = made(facts(*reads))
    # November of last year used 600 kWh; of late it is 1.5 times as much: 900 kWh.
    assert (found.rule, found.used_wh, found.days) == ("same_season", 900_000, 30)
    assert found.register_wh == reads[-1].register_wh + 900_000
    assert found.sentence == (
        "From 1 Nov 2025 to 1 Dec 2025 it used 20.0 kWh a day, and of late 150.0% of what it used "
        "a year before: 900 kWh for 30 days."
    )
    assert found.values["season_daily_wh"] == "20000"
    assert found.to_json()["rule"] == "same_season"


def test_the_mean_of_the_last_three_periods_where_last_year_is_not_known() -> None:
    found = made(facts(*monthly(date(2026, 6, 1), 999, 310, 310, 300, 310)))
    # August, September and October: 920 kWh in 92 days.
    assert (found.rule, found.used_wh) == ("recent_periods", 300_000)
    assert found.sentence == (
        "The last 3 periods that were read came to 10.0 kWh a day: 300 kWh for 30 days."
    )
    assert found.values == {"periods": 3, "days": 92, "used_wh": 920_000}


@pytest.mark.parametrize(
    ("shown_wh", "rounded_wh"),
    [(1_100_000, 1_197_000), (1_100_100, 1_197_000), (1_100_010, 1_196_790)],
)
def test_an_estimate_is_what_the_register_can_show(shown_wh: int, rounded_wh: int) -> None:
    """100 kWh in 31 days are 96.774 kWh in 30: whole kWh, or as many decimals as were read."""
    found = made(facts(point(1000, date(2026, 10, 1)), ReadPoint(shown_wh, NOV_1)))
    assert found.register_wh == rounded_wh
    assert found.used_wh == rounded_wh - shown_wh


def test_after_a_read_with_decimals_the_register_is_whole_again() -> None:
    reads = (point(1000, date(2026, 10, 1)), point(1310, NOV_1))
    before = facts(*reads).last.model_copy(update={"register_wh": 1_310_938})
    found = made(facts(*reads, last=before))
    # 10 kWh a day for 30 days go to 1,610.938.
    assert (found.register_wh, found.used_wh) == (1_611_000, 300_062)


@given(
    last=st.integers(0, 99_999_999),
    used=st.builds(
        lambda wh, step: wh // step * step,
        st.integers(0, 30_000_000),
        st.sampled_from([1, 10, 100, 1000]),
    ),
    days=st.integers(1, 70),
    connected=st.none() | st.integers(0, 50_000),
    milli=st.sampled_from([500, 1000, 40_000]),
)
def test_rounding_goes_neither_back_nor_beyond_the_connected_load(
    last: int, used: int, days: int, connected: int | None, milli: int
) -> None:
    opening = 1_000_000
    reads = (ReadPoint(opening, date(2026, 10, 1)), ReadPoint(opening + used, NOV_1))
    before = facts(*reads).last.model_copy(update={"register_wh": last})
    on = NOV_1 + timedelta(days=days)
    more = {"multiplier_milli": milli, "connected_w": connected, "last": before}
    try:
        found = made(facts(*reads, **more), on)
    except CannotEstimate:
        return
    turned = (found.register_wh - last) % 100_000_000
    exact = Fraction(used * days, 31)
    most = 50_000_000
    if connected is not None:
        most = 24 * connected * days * 1000 // milli
        assert turned <= most
        exact = min(exact, Fraction(most))
    assert 0 <= turned <= 50_000_000
    assert abs(turned - exact) < 1000
    shown = next(s for s in (1000, 100, 10, 1) if used % s == 0)
    finer = connected is not None and -last % shown > most
    assert finer or found.register_wh % shown == 0


def test_use_that_changed_beyond_comparison_goes_by_recent_periods() -> None:
    year = (300, 310, 300, 31, 31, 30, 31, 600, 620, 310, 280, 310)
    reads = monthly(date(2025, 4, 1), *year, 300, 310, 300, 465, 465, 450, 465)
    assert made(facts(*reads)).rule == "recent_periods"


def test_an_estimate_goes_on_from_an_estimated_read() -> None:
    actual = monthly(date(2026, 7, 1), 310, 310, 300)
    last = Read(
        id="e",
        meter_id="m",
        read_at=datetime(2026, 11, 1, 6, tzinfo=UTC),
        read_on=NOV_1,
        register_wh=2_230_000,
        source="estimated",
    )
    found = made(facts(*actual, last=last, in_a_row=1))
    assert (found.days, found.used_wh) == (30, 300_000)
    assert found.register_wh == 2_530_000


def test_a_register_rolls_over() -> None:
    before = [point(99_600, date(2026, 10, 1)), point(99_910, NOV_1)]
    found = made(facts(*before))
    assert (found.register_wh, found.used_wh) == (210_000, 300_000)


def test_the_multiplier_counts() -> None:
    reads = (point(1000, date(2026, 10, 1)), point(1031, NOV_1))
    found = made(facts(*reads, multiplier_milli=40_000))
    assert (found.register_wh, found.used_wh) == (1_061_000, 1_200_000)
    assert "40.0 kWh a day" in found.sentence


CLASS = {"meters": 12, "wh": 12_000_000, "days": 1200}


def test_the_class_profile_of_a_new_meter_and_by_its_connected_load() -> None:
    others = CLASS | {"loaded_meters": 10, "loaded_wh": 8_000_000, "loaded_w_days": 2_000_000}
    use = SeasonUse.model_validate(others)
    plain = made(facts(point(1000, NOV_1), class_use=use))
    assert (plain.rule, plain.used_wh) == ("class_profile", 300_000)
    assert plain.sentence.startswith("Meters on its tariff use 10.0 kWh a day at this time")
    # 8,000 kWh in 2,000 kW-days: 4 kWh a day for each kW.
    loaded = made(facts(point(1000, NOV_1), class_use=use, connected_w=5000))
    assert loaded.used_wh == 600_000
    assert "it has 5 kW" in loaded.sentence
    too_few = SeasonUse.model_validate(others | {"meters": 9, "loaded_meters": 9})
    with pytest.raises(CannotEstimate, match="cannot be estimated: it has no two actual readings"):
        made(facts(point(1000, NOV_1), class_use=too_few))


def test_no_more_than_the_connected_load_can_use() -> None:
    found = made(facts(point(1000, date(2026, 10, 1)), point(4000, NOV_1), connected_w=1000))
    assert found.used_wh == 24 * 30 * 1000
    assert "no more than its connected load can use" in found.sentence


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"in_a_row": 3}, "Estimated 3 times in a row, read the meter."),
        ({"later_on": date(2026, 12, 4)}, "Meter M1 was read on 4 Dec 2026"),
        ({"waiting_on": date(2026, 11, 30)}, "The reading of 30 Nov 2026 of meter M1 waits"),
        ({"registers": ("peak",)}, "more registers than the total"),
        ({"disconnected": True}, "was cut"),
    ],
)
def test_why_there_is_none(more: dict[str, Any], said: str) -> None:
    reads = monthly(date(2026, 7, 1), 310, 310, 300, 310)
    with pytest.raises(CannotEstimate, match=said):
        made(facts(*reads, **more))


def test_nothing_is_estimated_for_a_day_that_was_read() -> None:
    with pytest.raises(CannotEstimate, match="was read on 1 Nov 2026"):
        made(facts(*monthly(date(2026, 7, 1), 310, 310, 300, 310)), on=NOV_1)
