"""From two reads with registers, intervals and earlier bills to the bill."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.billing.draw_up import measured_bill
from services.metering.measured import wh_between
from services.rating import UnableToPriceBill
from services.records.bills import NewBill, PastBill, PricingInputs, TruedUp
from services.records.readings import IntervalDay, MeterConstants, Read
from services.records.tariffs import TariffVersion

ZONE = ZoneInfo("America/New_York")
TOU: dict[str, Any] = {
    "tou": {
        "periods": {
            "peak": [{"from": "18:00", "to": "22:00"}],
            "off_peak": [{"from": "22:00", "to": "18:00"}],
        }
    }
}
SEASONS: dict[str, Any] = {
    "seasons": {
        "summer": {"from": "06-01", "to": "09-30"},
        "winter": {"from": "10-01", "to": "05-31"},
    },
    "calendars": {
        "tou": {
            "periods": {
                f"{season}_{period}": [{"seasons": [season], **window}]
                for season in ("summer", "winter")
                for period, window in (
                    ("peak", {"from": "18:00", "to": "22:00"}),
                    ("off_peak", {"from": "22:00", "to": "18:00"}),
                )
            }
        }
    },
}  # fmt: skip
BY_TIME: dict[str, Any] = {"code": "energy", "description": "Energy", "kind": "energy"}
BY_TIME |= {"calendar": "tou"}
ENERGY = BY_TIME | {"rates": {"peak": "0.30", "off_peak": "0.10"}}
DEMAND = {"code": "demand", "description": "Demand", "kind": "demand", "quantity": "kw"}
FLAT = {"code": "energy", "description": "Energy", "kind": "energy", "rate": "1"}


def tariff(*charges: Mapping[str, Any], since: str = "2020-01-01", **how: Any) -> TariffVersion:
    definition: dict[str, Any] = {"code": "T", "name": "T", "currency": "USD"}
    definition |= {"effective_from": since, "charges": charges}
    return TariffVersion(
        id=since, tariff_id="t", code="T", name="T", currency="USD",
        effective_from=date.fromisoformat(since), definition=definition | how,
    )  # fmt: skip


def read(day: str, kwh: float, **registers: float) -> Read:
    on = date.fromisoformat(day)
    return Read(
        id=day,
        meter_id="m",
        read_at=datetime(on.year, on.month, on.day, 15, tzinfo=UTC),
        read_on=on,
        register_wh=round(kwh * 1000),
        registers={name.replace("__", ":"): round(v * 1000) for name, v in registers.items()},
    )


def bill(
    opening: Read,
    closing: Read,
    *tariffs: TariffVersion,
    multiplier_milli: int = 1000,
    connected_w: int | None = None,
    **facts: Any,
) -> NewBill:
    return measured_bill(
        agreement_id="a",
        constants=MeterConstants("m", 5, multiplier_milli, connected_w),
        opening=opening,
        closing=closing,
        tariffs=tariffs,
        reissue_no=0,
        issue=None,
        zone=ZONE,
        inputs=PricingInputs(**facts),
    ).priced()


def lines(bill: NewBill) -> list[tuple[str, str, int]]:
    return [(line.description, line.quantity, line.amount_minor) for line in bill.rated.lines]


def used(bill: NewBill) -> dict[str, Any]:
    assert bill.usage is not None
    return bill.usage


JUNE = read("2026-06-01", 1000, peak=400, off_peak=600)


# -- registers -----------------------------------------------------------------------------------


def test_a_plain_meter_keeps_nothing_but_its_consumption() -> None:
    made = bill(read("2026-06-01", 1000), read("2026-07-01", 1117), tariff(FLAT))
    assert (made.consumption_wh, made.usage) == (117_000, None)
    assert made.to_json()["usage"] is None


def test_each_period_is_billed_by_its_register() -> None:
    made = bill(
        JUNE, read("2026-07-01", 1100, peak=430, off_peak=670), tariff(ENERGY, calendars=TOU)
    )
    assert lines(made) == [("Energy, off peak", "70", 700), ("Energy, peak", "30", 900)]
    assert used(made)["by_period"] == {"tou": {"off_peak": 70_000, "peak": 30_000}}
    assert used(made)["registers"]["peak"] == {
        "opening": 400_000,
        "closing": 430_000,
        "used": 30_000,
    }


def test_what_the_registers_lack_to_the_total_is_shared_as_they_counted() -> None:
    made = bill(
        JUNE, read("2026-07-01", 1100, peak=430, off_peak=669), tariff(ENERGY, calendars=TOU)
    )
    assert used(made)["by_period"] == {"tou": {"off_peak": 69_697, "peak": 30_303}}


def test_the_multiplier_and_a_rollover_hold_for_every_register() -> None:
    opening = read("2026-06-01", 99_950, peak=99_990, off_peak=10)
    closing = read("2026-07-01", 50, peak=20, off_peak=80)
    made = bill(opening, closing, tariff(ENERGY, calendars=TOU), multiplier_milli=40_000)
    assert used(made)["by_period"] == {"tou": {"off_peak": 2_800_000, "peak": 1_200_000}}


def test_one_period_without_a_register_has_the_rest() -> None:
    opening, closing = read("2026-06-01", 1000, peak=400), read("2026-07-01", 1100, peak=430)
    made = bill(opening, closing, tariff(ENERGY, calendars=TOU))
    assert used(made)["by_period"] == {"tou": {"peak": 30_000, "off_peak": 70_000}}


def test_a_register_for_all_seasons_counts_the_one_that_it_is() -> None:
    rates = {f"{s}_{p}": "1" for s in ("summer", "winter") for p in ("peak", "off_peak")}
    version = tariff(BY_TIME | {"rates": rates}, **SEASONS)
    made = bill(JUNE, read("2026-07-01", 1100, peak=430, off_peak=670), version)
    kept = used(made)["by_period"]["tou"]
    assert {name: wh for name, wh in kept.items() if wh} == {
        "summer_peak": 30_000,
        "summer_off_peak": 70_000,
    }
    # 10 of the 40 days are in May.
    opening = read("2026-05-22", 1000, peak=400, off_peak=600)
    made = bill(opening, read("2026-07-01", 1100, peak=440, off_peak=660), version)
    kept = used(made)["by_period"]["tou"]
    assert (kept["winter_peak"], kept["summer_peak"]) == (10_000, 30_000)
    assert (kept["winter_off_peak"], kept["summer_off_peak"]) == (15_000, 45_000)


def test_exports_apparent_and_reactive_energy_come_from_their_registers() -> None:
    export: dict[str, Any] = {
        "code": "out",
        "description": "Export",
        "kind": "energy",
        "calendar": "tou",
    }
    export |= {"quantity": "export_kwh", "rates": {"peak": "-0.20", "off_peak": "-0.05"}}
    apparent = {"code": "kvah", "description": "Apparent", "kind": "energy", "quantity": "kvah"}
    version = tariff(export, apparent | {"rate": "0.01"}, calendars=TOU)
    opening = read("2026-06-01", 0, kvah=0, kvarh=0, export=0, export__peak=0, export__off_peak=0)
    shown = {"kvah": 110, "kvarh": 40, "export": 50, "export__peak": 10, "export__off_peak": 40}
    made = bill(opening, read("2026-07-01", 100, **shown), version)
    assert lines(made) == [
        ("Export, off peak", "40", -200),
        ("Export, peak", "10", -200),
        ("Apparent", "110", 110),
    ]
    assert (used(made)["vah"], used(made)["varh"]) == (110_000, 40_000)


def test_the_highest_maximum_since_the_opening_read_is_billed() -> None:
    demand = DEMAND | {"rate": "10"}
    made = bill(
        read("2026-06-01", 1000, max_kw=9),
        read("2026-07-01", 1100, max_kw=4.2),
        tariff(demand),
        between=[{"max_kw": 5_100}, {"max_kw": 3_000}],
        multiplier_milli=2_000,
    )
    assert lines(made) == [("Demand", "10.2", 10_200)]
    assert used(made)["registers"] == {"max_kw": {"maximum": 10_200}}


def test_maxima_by_period_need_a_register_for_each() -> None:
    version = tariff(
        DEMAND | {"calendar": "tou", "rates": {"peak": "10", "off_peak": "1"}}, calendars=TOU
    )
    opening = read("2026-06-01", 1000)
    both = {"max_kw__peak": 4, "max_kw__off_peak": 6}
    made = bill(opening, read("2026-07-01", 1100, **both), version)
    assert lines(made) == [("Demand, off peak", "6", 600), ("Demand, peak", "4", 4_000)]
    with pytest.raises(UnableToPriceBill, match="needs the peak"):
        bill(opening, read("2026-07-01", 1100, max_kw__peak=4), version)


def test_apparent_energy_and_demand_by_period_come_from_their_registers() -> None:
    apparent: dict[str, Any] = {"code": "kvah", "description": "Apparent", "kind": "energy"}
    apparent |= {"calendar": "tou", "quantity": "kvah", "rates": {"peak": "2", "off_peak": "1"}}
    demand = DEMAND | {"quantity": "kva", "calendar": "tou"}
    version = tariff(apparent, demand | {"rates": {"peak": "10", "off_peak": "1"}}, calendars=TOU)
    opening = read("2026-06-01", 1000, kvah__peak=100, kvah__off_peak=200)
    shown = {"kvah__peak": 130, "kvah__off_peak": 280, "max_kva__peak": 4, "max_kva__off_peak": 6}
    made = bill(opening, read("2026-07-01", 1100, **shown), version)
    assert lines(made) == [
        ("Apparent, off peak", "80", 8_000),
        ("Apparent, peak", "30", 6_000),
        ("Demand, off peak", "6", 600),
        ("Demand, peak", "4", 4_000),
    ]
    assert used(made)["vah"] == 110_000
    assert used(made)["peak_va"] == 6_000


def test_a_register_that_came_later_opens_at_a_read_of_that_day() -> None:
    version = tariff(ENERGY, calendars=TOU)
    closing = read("2026-07-01", 1100, peak=430, off_peak=670)
    opening = read("2026-06-01", 1000)
    with pytest.raises(UnableToPriceBill) as refused:
        bill(opening, closing, version)
    assert str(refused.value) == (
        "Energy (energy) needs the energy in each period of the calendar tou: registers of their "
        "own, or interval data. The register peak has no value in the read of 1 Jun 2026, where "
        "the bill opens. The register off_peak has no value in the read of 1 Jun 2026, where the "
        "bill opens."
    )
    made = bill(opening, closing, version, opening_registers=JUNE.registers)
    assert used(made)["by_period"] == {"tou": {"off_peak": 70_000, "peak": 30_000}}


def test_a_register_that_fell_is_not_billed() -> None:
    closing = read("2026-07-01", 1100, peak=30, off_peak=670)
    with pytest.raises(UnableToPriceBill, match="peak fell from 400 to 30 kWh"):
        bill(JUNE, closing, tariff(ENERGY, calendars=TOU))


def test_where_the_tariff_changes_registers_are_shared_by_days() -> None:
    later = ENERGY | {"rates": {"peak": "0.60", "off_peak": "0.20"}}
    versions = tariff(ENERGY, calendars=TOU), tariff(later, calendars=TOU, since="2026-06-11")
    closing = read("2026-07-01", 1100, peak=430, off_peak=670, max_kw=4)
    made = bill(JUNE, closing, *versions)
    assert [amount for _, _, amount in lines(made)] == [233, 300, 933, 1200]
    assert [part["wh"] for part in used(made)["parts"]] == [33_333, 66_667]
    assert used(made)["peak_w"] == 4_000


# -- intervals -----------------------------------------------------------------------------------


def intervals(start: str, days: int, *, minutes: int = 60, peak_wh: int = 400) -> list[IntervalDay]:
    """100 Wh an interval, from 18:00 to 22:00 `peak_wh`."""
    first, per_hour = date.fromisoformat(start), 60 // minutes
    wh = [peak_wh if 18 <= i // per_hour < 22 else 100 for i in range(24 * per_hour)]
    return [
        IntervalDay(day=first + timedelta(days=n), minutes=minutes, wh=tuple(wh))
        for n in range(days)
    ]


def test_intervals_share_the_register_s_use_and_give_the_peak() -> None:
    version = tariff(ENERGY, DEMAND | {"rate": "10"}, calendars=TOU)
    opening, closing = read("2026-06-01", 1000), read("2026-07-01", 1108)
    made = bill(opening, closing, version, intervals=intervals("2026-06-01", 30))
    # Each day 1.6 of 3.6 kWh; the registers say the same 108 kWh in all.
    assert used(made)["by_period"] == {"tou": {"off_peak": 60_000, "peak": 48_000}}
    assert used(made)["peak_w"] == 400
    made = bill(opening, read("2026-07-01", 1111), version, intervals=intervals("2026-06-01", 30))
    assert used(made)["by_period"] == {"tou": {"off_peak": 61_667, "peak": 49_333}}


def test_a_bill_that_rests_on_intervals_keeps_how_sure_they_are() -> None:
    days = intervals("2026-06-01", 30)
    days[3] = days[3].model_copy(update={"quality": (8,) * 12 + (0,) * 12})
    opening, closing = read("2026-06-01", 1000), read("2026-07-01", 1108)
    made = bill(opening, closing, tariff(ENERGY, calendars=TOU), intervals=days)
    assert used(made)["interval_quality"] == {
        "minutes": 60,
        "intervals": 720,
        "unsure": {"8": 12},
    }
    # Neither a flat rate nor registers by period ask the intervals anything.
    assert bill(opening, closing, tariff(FLAT), intervals=days).usage is None
    closing = read("2026-07-01", 1100, peak=430, off_peak=670)
    made = bill(JUNE, closing, tariff(ENERGY, calendars=TOU), intervals=days)
    assert "interval_quality" not in used(made)


def test_the_sum_of_two_meters_is_as_sure_as_both() -> None:
    days = intervals("2026-06-01", 30)
    other = [one.model_copy(update={"quality": (9,)}) for one in days[:1]]
    version = tariff(ENERGY, calendars=TOU)
    made = bill(
        read("2026-06-01", 1000), read("2026-07-01", 1108), version, intervals=[*days, *other]
    )
    assert used(made)["interval_quality"]["unsure"] == {"13": 24}


def test_registers_come_before_intervals() -> None:
    closing = read("2026-07-01", 1100, peak=430, off_peak=670)
    version = tariff(ENERGY, DEMAND | {"rate": "10"}, calendars=TOU)
    made = bill(JUNE, closing, version, intervals=intervals("2026-06-01", 30))
    assert used(made)["by_period"] == {"tou": {"off_peak": 70_000, "peak": 30_000}}
    assert used(made)["peak_w"] == 400


@pytest.mark.parametrize(("start", "end", "days"), [("2026-11-01", "2026-11-02", 25)])
def test_a_day_of_25_hours_is_whole_with_25_intervals(start: str, end: str, days: int) -> None:
    day = IntervalDay(day=date.fromisoformat(start), minutes=60, wh=(100,) * days)
    made = bill(
        read(start, 1000), read(end, 1002.5), tariff(ENERGY, calendars=TOU), intervals=[day]
    )
    assert used(made)["by_period"] == {"tou": {"off_peak": 2_100, "peak": 400}}


@pytest.mark.parametrize(
    ("there", "why"),
    [
        (intervals("2026-06-01", 28), "Its intervals lack 2 of 30 days, such as 29 Jun 2026."),
        (
            [*intervals("2026-06-01", 29), *intervals("2026-06-30", 1, minutes=30)],
            "Its intervals are not of one length within the period.",
        ),
    ],
)
def test_without_all_intervals_the_reason_says_which_are_missing(
    there: Sequence[IntervalDay], why: str
) -> None:
    with pytest.raises(UnableToPriceBill) as refused:
        bill(
            read("2026-06-01", 1000), read("2026-07-01", 1108), tariff(ENERGY, calendars=TOU),
            intervals=there,
        )  # fmt: skip
    assert str(refused.value).endswith(why)


def test_a_rate_that_changes_within_the_bill_follows_the_intervals() -> None:
    changing = FLAT | {"changes": [{"from": "2026-06-02", "rate": "2"}]}
    first, second = (
        intervals("2026-06-01", 1, peak_wh=100),
        intervals("2026-06-02", 1, peak_wh=1300),
    )
    opening, closing = read("2026-06-01", 0), read("2026-06-03", 9.6)
    made = bill(opening, closing, tariff(changing), intervals=[*first, *second])
    assert [quantity for _, quantity, _ in lines(made)] == ["2.4", "7.2"]
    assert used(made)["wh_before"] == {"2026-06-02": 2_400}


EXPORT: dict[str, Any] = {"code": "export", "description": "Export", "kind": "energy"}
EXPORT |= {"quantity": "export_kwh"}
ON_16TH = "2026-06-16"


def exporting(constants: str, used_wh: Sequence[int], before: str, after: str) -> NewBill:
    """300 kWh of a register in June under a tariff that changes on the 16th."""
    quantity = {"export": "export_kwh"}.get(constants, constants)
    charge = EXPORT | {"quantity": quantity}
    versions = (tariff(charge | {"rate": before}), tariff(charge | {"rate": after}, since=ON_16TH))
    days = [
        IntervalDay(day=date(2026, 6, n + 1), minutes=60, wh=(wh,) * 24)
        for n, wh in enumerate(used_wh)
    ]
    imported = sum(used_wh) * 24 / 1000
    opening, closing = (
        read("2026-06-01", 0, **{constants: 0}),
        read("2026-07-01", imported, **{constants: 300}),
    )
    return bill(opening, closing, *versions, intervals=days)


def test_an_export_without_any_import_is_credited_in_full_where_the_tariff_changes() -> None:
    made = exporting("export", [0] * 30, "-0.20", "-0.20")
    assert made.rated.total_minor == -6_000


@pytest.mark.parametrize("register", ["export", "kvah", "kvarh"])
def test_what_the_intervals_do_not_measure_is_shared_by_days(register: str) -> None:
    made = exporting(register, [100] * 15 + [0] * 15, "1", "3")
    assert [quantity for _, quantity, _ in lines(made)] == ["150", "150"]
    assert made.rated.total_minor == 15_000 + 45_000


def test_the_total_is_shared_by_days_where_the_intervals_show_none() -> None:
    versions = tariff(FLAT), tariff(FLAT | {"rate": "2"}, since=ON_16TH)
    days = [IntervalDay(day=date(2026, 6, n), minutes=60, wh=(0,) * 24) for n in range(1, 31)]
    made = bill(read("2026-06-01", 0), read("2026-07-01", 30), *versions, intervals=days)
    assert [quantity for _, quantity, _ in lines(made)] == ["15", "15"]


def test_the_shares_of_many_parts_add_up_to_the_register() -> None:
    since = ["2020-01-01", "2026-06-03", "2026-06-11", "2026-06-28"]
    versions = [tariff(FLAT, EXPORT | {"rate": "-1"}, since=day) for day in since]
    days = [IntervalDay(day=date(2026, 6, n), minutes=60, wh=(n,) * 24) for n in range(1, 31)]
    opening, closing = read("2026-06-01", 0, export=0), read("2026-07-01", 100, export=99.999)
    parts = used(bill(opening, closing, *versions, intervals=days))["parts"]
    assert sum(part["wh"] for part in parts) == 100_000
    assert sum(part["export_wh"] for part in parts) == 99_999


# -- earlier bills -------------------------------------------------------------------------------


def past(start: str, end: str, peak_w: int | None = None, **charged: int) -> PastBill:
    usage = None if peak_w is None else {"wh": 1, "peak_w": peak_w}
    return PastBill.model_validate(
        {"period_start": start, "period_end": end, "usage": usage, "charged": charged}
        | {"tariff_id": "t"}
    )


def test_the_ratchet_looks_at_the_bills_of_so_many_months() -> None:
    ratchet = DEMAND | {"rate": "10", "ratchet": {"percent": "80", "months": 2}}
    earlier = [
        past("2026-05-03", "2026-06-01", 10_000),
        past("2026-04-01", "2026-05-03", 20_000),
        past("2026-03-01", "2026-04-01", 90_000),
    ]
    opening, closing = read("2026-06-01", 0, max_kw=1), read("2026-07-01", 100, max_kw=4)
    made = bill(opening, closing, tariff(ratchet), past=earlier)
    assert lines(made) == [("Demand", "16", 16_000)]
    assert used(made)["past_peaks_w"] == (10_000, 20_000)


def test_a_ratchet_in_kva_looks_at_the_kva_of_earlier_bills() -> None:
    ratchet = {"rate": "10", "ratchet": {"percent": "80", "months": 1}}
    charges = [DEMAND | ratchet, DEMAND | ratchet | {"code": "kva", "quantity": "kva"}]
    last = past("2026-05-01", "2026-06-01", 10_000)
    last = last.model_copy(update={"usage": {"wh": 1, "peak_w": 10_000, "peak_va": 20_000}})
    opening = read("2026-06-01", 0, max_kw=1, max_kva=1)
    closing = read("2026-07-01", 100, max_kw=4, max_kva=5)
    made = bill(opening, closing, tariff(*charges), past=[last])
    assert [quantity for _, quantity, _ in lines(made)] == ["8", "16"]


def test_what_the_last_bill_carried_forward_begins_the_next() -> None:
    rounding = {"total": {"mode": "down", "to": "10", "carry_forward": True}}
    opening, closing = read("2026-06-01", 0), read("2026-07-01", 117)
    last = past("2026-05-01", "2026-06-01", carried_forward=-470)
    made = bill(opening, closing, tariff(FLAT, rounding=rounding), past=[last])
    assert made.rated.lines[0].code == "brought_forward"
    assert made.rated.total_minor == 12_000
    assert used(made)["carried_minor"] == 470


def test_that_the_total_rolled_over_says_nothing_of_a_register_that_fell_beside_it() -> None:
    before = read("2026-06-01", 99_900, export=500)
    after = read("2026-07-01", 50, export=400).model_copy(update={"rolled_over": True})
    with pytest.raises(UnableToPriceBill, match="export fell from 500 to 400 kWh"):
        bill(before, after, tariff(FLAT))
    # Where the total went on, it can only be the register that is meant.
    went_on = after.model_copy(update={"register_wh": 99_950_000})
    assert bill(before, went_on, tariff(FLAT)).usage is not None


def test_only_the_bill_that_ends_in_the_next_year_closes_the_minimum_of_the_year() -> None:
    least = {"code": "year", "description": "Least", "kind": "minimum", "amount": "500"}
    version = tariff(FLAT, least | {"per": "year", "of": ["energy"]})
    of_year = [
        past("2026-11-20", "2026-12-20", energy=10_000),
        past("2026-01-20", "2026-11-20", energy=20_000),
        past("2025-12-20", "2026-01-20", energy=70_000),
    ]
    closing = bill(read("2026-12-20", 0), read("2027-01-20", 50), version, past=of_year)
    assert lines(closing) == [("Energy", "50", 5_000), ("Least", "1", 15_000)]
    open_still = bill(read("2026-11-20", 0), read("2026-12-20", 50), version, past=of_year[1:])
    assert lines(open_still) == [("Energy", "50", 5_000)]


def test_a_customer_of_one_month_owes_a_twelfth_of_the_minimum_of_the_year() -> None:
    least = {"code": "year", "description": "Least", "kind": "minimum", "amount": "400"}
    version = tariff(FLAT, least | {"per": "year", "of": ["energy"]})
    made = bill(read("2026-12-01", 0), read("2027-01-01", 1.2), version)
    assert lines(made) == [("Energy", "1.2", 120), ("Least", "0.0833", 3_213)]
    note = "a minimum of 33.33 less 1.20 charged; 1 month of the year"
    assert made.rated.lines[1].note == note
    assert used(made)["uncovered_days"] == 334


LEAST: dict[str, Any] = {
    "code": "year",
    "description": "Least",
    "kind": "minimum",
    "amount": "1200",
}
LEAST |= {"per": "year", "of": ["energy"]}
EARLIER = [
    PastBill(period_start=date(2026, month, 1), period_end=date(2026, month + 1, 1), usage=None,
             charged={"energy": 2000}, tariff_id="t")
    for month in (11, 10)
]  # fmt: skip


def test_a_minimum_that_a_later_version_brings_is_of_its_own_months_alone() -> None:
    versions = tariff(FLAT), tariff(FLAT, LEAST, since="2026-12-01")
    made = bill(read("2026-12-01", 0), read("2027-01-01", 10), *versions, past=EARLIER)
    note = "a minimum of 100.00 less 10.00 charged; 1 month of the year"
    assert [(line.amount_minor, line.note) for line in made.rated.lines[1:]] == [(9000, note)]


def test_a_minimum_that_begins_within_a_bill_counts_from_its_day() -> None:
    versions = tariff(FLAT), tariff(FLAT, LEAST, since="2026-12-16")
    made = bill(read("2026-12-01", 0), read("2027-01-01", 31), *versions, past=EARLIER)
    assert used(made)["parts"][-1]["uncovered_days"] == 349


def test_a_minimum_counts_from_the_day_on_which_the_meter_came_to_the_tariff() -> None:
    elsewhere = [past.model_copy(update={"tariff_id": "other"}) for past in EARLIER]
    version = tariff(FLAT, LEAST)
    made = bill(read("2026-12-01", 0), read("2027-01-01", 10), version, past=elsewhere)
    assert (used(made)["uncovered_days"], made.rated.lines[1].amount_minor) == (334, 9000)
    # Bills of the tariff's own count, with what they charged.
    made = bill(read("2026-12-01", 0), read("2027-01-01", 10), version, past=EARLIER)
    assert made.rated.lines[1].amount_minor == 30_000 - 5000


def test_the_minimum_of_the_year_counts_from_the_first_bill_of_the_meter() -> None:
    least = {"code": "year", "description": "Least", "kind": "minimum", "amount": "400"}
    version = tariff(FLAT, least | {"per": "year", "of": ["energy"]})
    opening, closing = read("2026-12-15", 0), read("2027-01-15", 10)
    half = bill(opening, closing, version, past=[past("2026-07-01", "2026-12-15", energy=5_000)])
    assert lines(half)[1] == ("Least", "0.5", 20_000 - 6_000)
    older = [past("2026-01-20", "2026-12-15", energy=5_000), past("2025-12-20", "2026-01-20")]
    assert lines(bill(opening, closing, version, past=older))[1] == ("Least", "1", 40_000 - 6_000)


def test_the_connected_load_is_the_meter_s() -> None:
    fixed = {"code": "f", "description": "Load", "kind": "fixed", "amount": "2", "per": "bill"}
    version = tariff(fixed | {"times": "connected_kw"})
    opening, closing = read("2026-06-01", 0), read("2026-07-01", 50)
    assert lines(bill(opening, closing, version, connected_w=5_500)) == [("Load", "5.5", 1_100)]
    with pytest.raises(UnableToPriceBill, match="connected load in kW"):
        bill(opening, closing, version)


@pytest.mark.parametrize(
    ("last", "estimated", "closing", "kwh"),
    [
        (99_860, 70, 20, -50),
        (99_860, 70, 99_990, -80),  # It did not roll over yet.
        (99_860, 99_960, 20, 60),
        (99_860, 70, 99_850, 99_780),  # Below what was read before the estimate: it did, again.
        (1_000, 1_100, 60_000, 58_900),
    ],
)
def test_use_since_an_estimate(last: int, estimated: int, closing: int, kwh: int) -> None:
    guess = read("2026-03-01", estimated).model_copy(update={"source": "estimated"})
    used = wh_between(
        guess,
        read("2026-04-01", closing),
        dials=5,
        multiplier_milli=1000,
        last_actual=read("2026-02-01", last),
    )
    assert used == kwh * 1000


def test_a_rollover_that_was_estimated_falls_only_where_the_bill_settles_it() -> None:
    """A customer's own read settles nothing: a person looks at it."""
    guess, last = read("2026-03-01", 70), read("2026-02-01", 99_860)
    guess = guess.model_copy(update={"source": "estimated"})
    settles = TruedUp(opening=last, pricing=PricingInputs())
    own = read("2026-04-01", 99_990).model_copy(update={"source": "customer"})
    with pytest.raises(UnableToPriceBill, match="The register fell from 70 to 99,990 kWh"):
        bill(guess, own, tariff(FLAT), trued_up=settles)
