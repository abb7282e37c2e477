"""A month's bills under another version: each the engine's own, and the sums of all."""

import csv
import json
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest

from services.metering.usage_snapshot import usage_of_snapshot, without_defaults
from services.quantities.period import Period
from services.rating import BillingDeterminants, Part, netted, rate, rate_usage
from services.records.tariffs import BilledUse, TariffVersion
from services.settings import PROJECT_FOLDER
from services.tariff_publishing.bill_impact import BillImpact
from services.tariffs import Tariff, parse_tariff
from tests.oracle.generator import random_tariff
from tests.oracle.usages import random_bills

EXAMPLES = PROJECT_FOLDER / "examples/tariffs"


def example(name: str) -> Tariff:
    return parse_tariff(json.loads((EXAMPLES / name).read_text()))


KSEB = example("kseb-lt1a.json")


def used(number: int, *, wh: int, days: int = 30, total_minor: int | None = None) -> BilledUse:
    start = date(2026, 10, 1) + timedelta(days=number % 7)
    period = Period(start, start + timedelta(days=days))
    if total_minor is None:
        total_minor = rate(tariff=KSEB, consumption_wh=wh, period=period).total_minor
    return BilledUse(
        id=str(number),
        account_no=f"A{number}",
        meter_serial=f"M{number}",
        period_start=period.start,
        period_end=period.end,
        consumption_wh=wh,
        total_minor=total_minor,
    )


@pytest.mark.parametrize(
    "name", ["kseb-lt1a.json", "delhi-domestic-3kw.json", "seymour-winter.json"]
)
def test_each_replayed_bill_is_what_the_engine_makes_of_it_alone(name: str) -> None:
    random, tariff = Random(1), example(name)  # noqa: S311
    bills = [used(n, wh=random.randrange(900_000), days=random.randrange(1, 70)) for n in range(60)]
    found = BillImpact(tariff)
    found.add(bills[:40])
    found.add(bills[40:])
    assert [one.bill for one in found.replayed] == bills
    for one in found.replayed:
        period = Period(one.bill.period_start, one.bill.period_end)
        alone = rate(tariff=tariff, consumption_wh=one.bill.consumption_wh, period=period)
        assert one.after_minor == alone.total_minor


def test_who_pays_more_and_who_pays_less() -> None:
    found = BillImpact(KSEB)
    found.add([used(n, wh=117_000, total_minor=54035 + n) for n in (-300, -2, 0, 0, 7)])
    assert (found.lose, found.gain, len(found.replayed)) == (2, 1, 5)
    assert [one.change_minor for one in found.losers()] == [300, 2]
    assert [one.change_minor for one in found.gainers()] == [-7]
    assert found.after_minor - found.before_minor == 295
    assert sum(one.bills for one in found.distribution()) == 5
    unchanged = [one for one in found.distribution() if one.low_minor == one.high_minor]
    assert [one.bills for one in unchanged] == [2]


def test_every_change_lies_in_its_bin() -> None:
    random = Random(2)  # noqa: S311
    found = BillImpact(KSEB)
    changes = [random.randrange(-50_000, 400_000) for _ in range(300)]
    found.add([used(0, wh=117_000, total_minor=54035 - change) for change in changes])
    bins = found.distribution()
    assert len(bins) <= 24
    for one in bins:
        assert one.bills == sum(one.low_minor <= change < one.high_minor for change in changes)


def test_the_ten_who_lose_most_come_in_order() -> None:
    found = BillImpact(KSEB)
    found.add([used(n, wh=117_000, total_minor=54035 - n) for n in range(1, 30)])
    assert [one.change_minor for one in found.losers()] == list(range(29, 19, -1))


def test_the_csv_has_every_bill_with_exact_amounts() -> None:
    found = BillImpact(KSEB)
    found.add([used(1, wh=117_500, total_minor=54000)])
    (row,) = csv.DictReader(found.csv().decode("utf-8-sig").splitlines())
    expected = {"account_no": "A1", "meter_serial": "M1", "kwh": "117.5", "currency": "INR"}
    expected |= {"period_start": "2026-10-02", "period_end": "2026-11-01"}
    assert row == expected | {"before": "540.00", "after": "543.04", "change": "3.04"}


def _json(usage: BillingDeterminants) -> dict[str, Any]:
    """A usage as it is kept with a bill and comes back from the database."""
    kept: dict[str, Any] = json.loads(json.dumps(without_defaults(usage), sort_keys=True))
    return kept


def test_bills_under_the_tariff_that_made_them_stay_the_same() -> None:
    for seed in range(200):
        random = Random(seed)  # noqa: S311
        data = random_tariff(random)
        tariff = parse_tariff(data)
        bills = []
        for n, (usage, period) in enumerate(random_bills(random, data, 5)):
            closes = period.end.year > period.start.year
            one = replace(usage, closes_year=closes)
            total = rate_usage(tariff=tariff, usage=one, period=period).total_minor
            bill = used(n, wh=one.wh, total_minor=total)
            days = {"period_start": period.start, "period_end": period.end}
            bills.append(bill.model_copy(update={**days, "usage": _json(one)}))
        found = BillImpact(tariff, [a_version(data)])
        found.add(bills)
        assert found.left_out == {}, seed
        assert [one.change_minor for one in found.replayed] == [0] * 5, seed


def a_version(data: dict[str, Any], since: str = "2000-01-01") -> TariffVersion:
    return TariffVersion(
        id=since, tariff_id="t", code=data["code"], name="T", currency=data["currency"],
        effective_from=date.fromisoformat(since), definition={**data, "effective_from": since},
    )  # fmt: skip


def hours(begin: str, name: str = "tou") -> dict[str, Any]:
    periods = {
        "peak": [{"from": begin, "to": "22:00"}],
        "off_peak": [{"from": "22:00", "to": begin}],
    }
    rates = {"peak": "2", "off_peak": "1"}
    charge = {"code": "e", "description": "Energy", "kind": "energy", "calendar": name}
    head = {"code": "T", "name": "T", "currency": "INR", "effective_from": "2000-01-01"}
    return {
        **head,
        "calendars": {name: {"periods": periods}},
        "charges": [charge | {"rates": rates}],
    }


BY_HOURS = {"wh": 3000, "by_period": {"tou": {"peak": 1000, "off_peak": 2000}}}


@pytest.mark.parametrize(("new", "total"), [(hours("18:00"), 400), (hours("18:00", "other"), 400)])
def test_hours_are_priced_again_by_any_calendar_that_has_them(
    new: dict[str, Any], total: int
) -> None:
    found = BillImpact(parse_tariff(new), [a_version(hours("18:00"))])
    found.add([used(1, wh=3000).model_copy(update={"usage": BY_HOURS})])
    assert found.after_minor == total


def test_hours_that_were_measured_otherwise_are_left_out() -> None:
    bill = used(1, wh=3000).model_copy(update={"usage": BY_HOURS})
    found = BillImpact(parse_tariff(hours("17:00")), [a_version(hours("18:00"))])
    found.add([bill, used(2, wh=1)])
    assert (found.replayed, list(found.left_out.values())) == ([], [2])
    # Nor are those of a bill in whose second part the peak began earlier.
    changed = a_version(hours("17:00"), since=(bill.period_start + timedelta(days=3)).isoformat())
    parts = {"wh": 3000, "parts": [{**BY_HOURS, "start": "", "end": ""}] * 2}
    found = BillImpact(parse_tariff(hours("18:00")), [a_version(hours("18:00")), changed])
    found.add([bill.model_copy(update={"usage": parts})])
    assert not found.replayed


def test_a_bill_in_parts_is_replayed_whole() -> None:
    parts = [
        {"start": "", "end": "", "wh": wh, "peak_w": peak, "connected_w": 2000}
        | {"by_period": {"tou": {"peak": wh}}, "peak_w_by_period": {"tou": {"peak": peak}}}
        for wh, peak in ((1000, 7), (2000, 5))
    ]
    assert usage_of_snapshot({"wh": 3000, "peak_w": 7, "parts": parts}) == BillingDeterminants(
        wh=3000,
        peak_w=7,
        connected_w=2000,
        by_period={"tou": {"peak": 3000}},
        peak_w_by_period={"tou": {"peak": 7}},
    )


def test_a_ratchet_is_not_guessed_for_bills_that_knew_of_no_past_peaks() -> None:
    demand = {"code": "d", "description": "Demand", "kind": "demand", "quantity": "kw", "rate": "1"}
    ratchet = {"ratchet": {"percent": "80", "months": 11}}
    data = KSEB.to_json() | {"charges": [demand | ratchet]}
    found = BillImpact(parse_tariff(data), [a_version(data)])
    known = {"wh": 1, "peak_w": 10_000, "past_peaks_w": [20_000, *[0] * 10]}
    found.add(
        [
            used(n, wh=1).model_copy(update={"usage": usage})
            for n, usage in enumerate(({"wh": 1, "peak_w": 10_000}, known))
        ]
    )
    assert [one.after_minor for one in found.replayed] == [1600]
    assert list(found.left_out) == [
        "Demand (d) looks at the demand of 11 earlier months, which the bill did not."
    ]


def test_one_bill_that_cannot_be_priced_does_not_leave_out_the_others() -> None:
    load = {"wh": 100_000, "connected_w": 3000}
    tariff = KSEB.to_json()
    tariff["charges"][0] |= {"when": {"load_kw_above": "1"}}
    found = BillImpact(parse_tariff(tariff))
    found.add([used(1, wh=100_000), used(2, wh=100_000).model_copy(update={"usage": load})])
    assert ([one.bill.id for one in found.replayed], sum(found.left_out.values())) == (["2"], 1)


def test_bills_that_need_more_than_their_kwh_are_counted_with_the_reason() -> None:
    found = BillImpact(example("xcel-colorado-re-tou.json"))
    found.add([used(1, wh=1), used(2, wh=2)])
    found.add([used(3, wh=3)])
    assert not found.replayed
    ((why, bills),) = found.left_out.items()
    assert bills == 3
    assert "registers of their own, or interval data" in why


def test_netted_bills_are_netted_again_from_the_bank_that_they_began_with() -> None:
    solar = example("solar-net-metering.json")
    plain = used(1, wh=117_000, total_minor=0)
    part = Part(solar, plain.period, BillingDeterminants(wh=150_000, export_wh=20_000))
    (made,), net = netted([part], opening={"": 40_000})
    assert net is not None
    kept = without_defaults(made.usage) | {"net": net.to_json()}
    found = BillImpact(solar)
    found.add([plain, plain.model_copy(update={"id": "2", "usage": kept})])
    # 50 × 3.15 + 50 × 3.70 + 17 × 4.80 + 60; then 90 kWh: 50 × 3.15 + 40 × 3.70 + 60.
    assert [one.after_minor for one in found.replayed] == [484_10, 365_50]
    # Without net metering all that was imported is billed.
    found = BillImpact(KSEB)
    found.add([plain.model_copy(update={"usage": kept, "consumption_wh": 150_000})])
    wanted = rate(tariff=KSEB, consumption_wh=150_000, period=plain.period)
    assert [one.after_minor for one in found.replayed] == [wanted.total_minor]
