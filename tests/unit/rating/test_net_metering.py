"""Net metering: kWh are netted through slabs, a surplus is banked, settled in its month."""

import random
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from services.quantities.period import Period, next_month
from services.rating import (
    BillingDeterminants,
    NetBill,
    Part,
    RatedBill,
    UnableToPriceBill,
    netted,
    rate_usage,
)
from services.rating.net_metering import settles
from services.tariffs import Tariff, parse_tariff

Json = dict[str, Any]
SLABS: Json = {
    "code": "energy",
    "description": "Energy",
    "kind": "energy",
    "slabs": [
        {"up_to_kwh": "50", "rate": "3.00"},
        {"up_to_kwh": "150", "rate": "4.50"},
        {"rate": "6.00"},
    ],
    "slab_limits_per": "bill",
}
FIXED: Json = {
    "code": "fixed",
    "description": "Fixed charge",
    "kind": "fixed",
    "amount": "40.00",
    "per": "bill",
}
PAID: Json = {
    "code": "surplus",
    "description": "Surplus paid out",
    "kind": "energy",
    "quantity": "settled_kwh",
    "rate": "-2.25",
}
HOURS: Json = {
    "hours": {
        "order": ["peak", "off_peak"],
        "periods": {
            "peak": [{"from": "18:00", "to": "22:00"}],
            "off_peak": [{"from": "22:00", "to": "18:00"}],
        },
    }
}
TOU: Json = {
    "code": "energy",
    "description": "Energy",
    "kind": "energy",
    "calendar": "hours",
    "rates": {"peak": "8.00", "off_peak": "4.00"},
}


def tariff(*charges: Json, **rest: object) -> Tariff:
    head = {"code": "SOLAR", "name": "Solar", "currency": "INR", "effective_from": "2025-01-01"}
    rule = {"surplus": "paid", "settled_in": 3}
    return parse_tariff(head | {"net_metering": rule, "charges": list(charges)} | rest)


HOME = tariff(SLABS, FIXED, PAID)
PEAKS = tariff(TOU, PAID, calendars=HOURS)
MAY = Period(date(2025, 5, 1), date(2025, 6, 1))


def use(imported: int, exported: int) -> BillingDeterminants:
    """kWh as Wh."""
    return BillingDeterminants(wh=imported * 1000, export_wh=exported * 1000)


def use_by_hours(imported: Mapping[str, int], exported: Mapping[str, int]) -> BillingDeterminants:
    return BillingDeterminants(
        wh=sum(imported.values()),
        export_wh=sum(exported.values()),
        by_period={"hours": imported},
        export_by_period={"hours": exported},
    )


def bill(
    of: Tariff,
    usage: BillingDeterminants,
    opening: Mapping[str, int] | None = None,
    *,
    period: Period = MAY,
    is_final: bool = False,
) -> tuple[RatedBill, NetBill]:
    (part,), net = netted([Part(of, period, usage)], opening=opening or {}, is_final=is_final)
    assert net is not None
    return rate_usage(tariff=of, usage=part.usage, period=period), net


def amounts(rated: RatedBill) -> dict[str, int]:
    return {line.code: line.amount_minor for line in rated.lines}


def test_imported_less_exported_energy_goes_through_the_slabs() -> None:
    rated, net = bill(HOME, use(220, 100))
    # 120 kWh: 50 × 3.00 + 70 × 4.50 = 465.00, and not 220 kWh less a credit.
    assert amounts(rated) == {"energy": 465_00, "fixed": 40_00}
    assert rated.lines[0].quantity == "120"
    assert net.in_all().closing == 0


def test_what_is_netted_to_nothing_still_pays_the_fixed_charge_and_is_banked() -> None:
    rated, net = bill(HOME, use(80, 200))
    assert amounts(rated) == {"energy": 0, "fixed": 40_00}
    assert net.closing() == {"": 120_000}


def test_the_next_bill_draws_on_the_bank_before_the_slabs() -> None:
    rated, net = bill(HOME, use(200, 20), {"": 120_000})
    # 180 kWh net less 120 banked: 60 kWh are 50 × 3.00 + 10 × 4.50.
    assert amounts(rated)["energy"] == 195_00
    assert net.in_all().used == 120_000
    assert net.closing() == {}


def test_a_minimum_is_due_whatever_is_netted() -> None:
    minimum = {
        "code": "minimum",
        "description": "Minimum",
        "kind": "minimum",
        "amount": "100.00",
        "per": "bill",
        "of": ["energy"],
    }
    rated, _ = bill(tariff(SLABS, minimum, PAID), use(80, 200))
    assert amounts(rated) == {"energy": 0, "minimum": 100_00}


def test_the_bill_with_the_end_of_the_settlement_month_pays_out_the_bank() -> None:
    march = Period(date(2026, 3, 1), date(2026, 4, 1))
    rated, net = bill(HOME, use(50, 70), {"": 100_000}, period=march)
    # 20 kWh of this month and 100 banked, at 2.25.
    assert amounts(rated)["surplus"] == -270_00
    assert rated.total_minor == 40_00 - 270_00
    assert (net.in_all().settled, net.closing()) == (120_000, {})


def test_a_surplus_lapses_where_the_tariff_says_so() -> None:
    of = tariff(SLABS, net_metering={"surplus": "lapses", "settled_in": 3})
    march = Period(date(2026, 3, 1), date(2026, 4, 1))
    rated, net = bill(of, use(50, 70), {"": 100_000}, period=march)
    assert rated.total_minor == 0
    assert (net.in_all().settled, net.is_paid, net.closing()) == (120_000, False, {})


def test_moving_out_settles_in_any_month() -> None:
    rated, net = bill(HOME, use(50, 70), {"": 30_000}, is_final=True)
    assert amounts(rated)["surplus"] == -112_50
    assert net.closing() == {}


@pytest.mark.parametrize(
    ("start", "end", "settled"),
    [
        ("2026-03-01", "2026-04-01", True),
        ("2026-03-20", "2026-04-20", True),
        ("2026-03-31", "2026-04-01", True),
        ("2026-02-01", "2026-03-31", False),
        ("2026-04-01", "2026-05-01", False),
        ("2024-12-01", "2026-01-15", True),
    ],
)
def test_which_bill_has_the_end_of_march(start: str, end: str, settled: bool) -> None:
    rule = HOME.net_metering
    assert rule is not None
    period = Period(date.fromisoformat(start), date.fromisoformat(end))
    assert settles(rule, period) is settled


def test_a_bill_that_ends_with_december_settles_december() -> None:
    rule = tariff(SLABS, PAID, net_metering={"surplus": "paid", "settled_in": 12}).net_metering
    assert rule is not None
    assert settles(rule, Period(date(2025, 12, 1), date(2026, 1, 1)))
    assert not settles(rule, Period(date(2026, 1, 1), date(2026, 2, 1)))


def test_a_period_keeps_its_surplus_unless_the_tariff_says_otherwise() -> None:
    usage = use_by_hours({"peak": 30_000, "off_peak": 50_000}, {"peak": 0, "off_peak": 70_000})
    rated, net = bill(PEAKS, usage)
    assert rated.total_minor == 240_00
    assert net.closing() == {"off_peak": 20_000}
    every = tariff(
        TOU,
        PAID,
        calendars=HOURS,
        net_metering={"surplus": "paid", "settled_in": 3, "offsets": "all_periods"},
    )
    rated, net = bill(every, usage, {"off_peak": 5_000})
    # 30 kWh at peak less 20 of this month and 5 banked off peak.
    assert rated.total_minor == 40_00
    assert net.closing() == {}


def test_a_seasonal_calendar_carries_the_surplus_through_the_year() -> None:
    seasons = {
        "seasons": {
            "summer": {"from": "04-01", "to": "09-30"},
            "winter": {"from": "10-01", "to": "03-31"},
        },
        "calendars": {
            "year": {
                "order": ["summer", "winter"],
                "periods": {
                    "summer": [{"seasons": ["summer"]}],
                    "winter": [{"seasons": ["winter"]}],
                },
            }
        },
    }
    energy = TOU | {"calendar": "year", "rates": {"summer": "6.00", "winter": "4.00"}}
    of = tariff(energy, PAID, **seasons)
    rated, net = bill(of, use(10, 110))
    assert net.closing() == {"": 100_000}
    december = Period(date(2025, 12, 1), date(2026, 1, 1))
    rated, net = bill(of, use(150, 0), net.closing(), period=december)
    assert (rated.total_minor, net.closing()) == (200_00, {})


def test_a_tariff_without_those_periods_keeps_what_they_banked() -> None:
    _, net = bill(HOME, use(100, 100), {"peak": 20_000, "off_peak": 5_000})
    assert net.closing() == {"": 25_000}
    assert sum(bank.moved for bank in net.banks.values()) == 0
    nothing = use_by_hours({"peak": 30_000, "off_peak": 0}, {"peak": 0, "off_peak": 0})
    rated, net = bill(PEAKS, nothing, {"": 25_000})
    assert (rated.total_minor, net.closing()) == (40_00, {})


def test_exports_by_period_must_be_known() -> None:
    usage = BillingDeterminants(
        wh=80_000, export_wh=70_000, by_period={"hours": {"peak": 30_000, "off_peak": 50_000}}
    )
    with pytest.raises(UnableToPriceBill, match="energy exported in each period"):
        bill(PEAKS, usage)
    with pytest.raises(UnableToPriceBill, match="imported less exported energy"):
        rate_usage(tariff=HOME, usage=use(1, 2), period=MAY)


def test_versions_within_a_bill_are_netted_together() -> None:
    dearer = tariff(SLABS | {"slabs": None, "slab_limits_per": None, "rate": "10.00"}, PAID)
    halves = [Period(MAY.start, date(2025, 5, 11)), Period(date(2025, 5, 11), MAY.end)]
    parts = [
        Part(
            tariff(TOU | {"calendar": None, "rates": None, "rate": "5.00"}, PAID),
            halves[0],
            use(150, 0),
        ),
        Part(dearer, halves[1], use(50, 180)),
    ]
    found, net = netted(parts, opening={})
    assert net is not None
    # 200 imported less 180: 20 kWh, shared as they were imported.
    assert [part.usage.netted_wh for part in found] == [15_000, 5_000]
    assert net.in_all().closing == 0
    plain = parse_tariff(
        {k: v for k, v in HOME.to_json().items() if k != "net_metering"} | {"charges": [SLABS]}
    )
    found, net = netted([Part(plain, halves[0], use(150, 90)), parts[1]], opening={})
    assert net is not None
    assert [part.usage.netted_wh for part in found] == [None, 0]
    assert net.closing() == {"": 130_000}


MONTHS = 30


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("offsets", ["own_period", "all_periods"])
def test_every_kwh_is_billed_banked_or_settled(seed: int, offsets: str) -> None:
    """sum(imported) - sum(exported) = sum(netted) - sum(settled) - what is banked at the end."""
    random_ = random.Random(f"{seed}/{offsets}")  # noqa: S311 - no secret
    rule = {"surplus": "paid", "settled_in": random_.randint(1, 12), "offsets": offsets}
    tariffs = [
        tariff(SLABS, PAID, net_metering=rule),
        tariff(TOU, PAID, calendars=HOURS, net_metering=rule),
    ]
    bank: dict[str, int] = {}
    imported = exported = billed = settled = 0
    day = date(2025, 1, 1)
    for month in range(MONTHS):
        period = Period(day, next_month(day))
        into = {"peak": random_.randint(0, 90_000), "off_peak": random_.randint(0, 200_000)}
        out = {"peak": random_.choice([0, 999, 70_001]), "off_peak": random_.randint(0, 300_000)}
        of = random_.choice(tariffs) if seed % 2 else tariffs[seed % 4 // 2]
        _, net = bill(
            of, use_by_hours(into, out), bank, period=period, is_final=month == MONTHS - 1
        )
        for one in net.banks.values():
            assert min(one.closing, one.netted, one.added, one.used, one.settled) >= 0
        assert {n: b.opening for n, b in net.banks.items() if b.opening} == bank
        all_ = net.in_all()
        assert (all_.imported, all_.exported) == (sum(into.values()), sum(out.values()))
        # Of each bill: what is billed is what was imported beyond exports and the bank's change.
        change = all_.closing - all_.opening + all_.settled
        assert all_.imported - all_.exported == all_.netted - change
        imported, exported = imported + all_.imported, exported + all_.exported
        billed, settled = billed + all_.netted, settled + all_.settled
        bank, day = net.closing(), period.end
    assert imported - exported == billed - settled
    assert bank == {}
