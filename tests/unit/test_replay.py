"""A month's bills under another version: each the engine's own, and the sums of all."""

import csv
import json
from datetime import date, timedelta
from random import Random

import pytest

from services.domain.period import Period
from services.domain.published_tariffs import BilledUse
from services.domain.rating import rate
from services.domain.replay import Replay
from services.domain.tariff import Tariff, parse_tariff
from services.settings import PROJECT_FOLDER

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
    found = Replay(tariff)
    found.add(bills[:40])
    found.add(bills[40:])
    assert [one.bill for one in found.replayed] == bills
    for one in found.replayed:
        period = Period(one.bill.period_start, one.bill.period_end)
        alone = rate(tariff=tariff, consumption_wh=one.bill.consumption_wh, period=period)
        assert one.after_minor == alone.total_minor


def test_who_pays_more_and_who_pays_less() -> None:
    found = Replay(KSEB)
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
    found = Replay(KSEB)
    changes = [random.randrange(-50_000, 400_000) for _ in range(300)]
    found.add([used(0, wh=117_000, total_minor=54035 - change) for change in changes])
    bins = found.distribution()
    assert len(bins) <= 24
    for one in bins:
        assert one.bills == sum(one.low_minor <= change < one.high_minor for change in changes)


def test_the_ten_who_lose_most_come_in_order() -> None:
    found = Replay(KSEB)
    found.add([used(n, wh=117_000, total_minor=54035 - n) for n in range(1, 30)])
    assert [one.change_minor for one in found.losers()] == list(range(29, 19, -1))


def test_the_csv_has_every_bill_with_exact_amounts() -> None:
    found = Replay(KSEB)
    found.add([used(1, wh=117_500, total_minor=54000)])
    (row,) = csv.DictReader(found.csv().splitlines())
    expected = {"account_no": "A1", "meter_serial": "M1", "kwh": "117.5", "currency": "INR"}
    expected |= {"period_start": "2026-10-02", "period_end": "2026-11-01"}
    assert row == expected | {"before": "540.00", "after": "543.04", "change": "3.04"}


def test_bills_that_need_more_than_their_kwh_are_counted_with_the_reason() -> None:
    found = Replay(example("xcel-colorado-re-tou.json"))
    found.add([used(1, wh=1), used(2, wh=2)])
    found.add([used(3, wh=3)])
    assert not found.replayed
    ((why, bills),) = found.left_out.items()
    assert bills == 3
    assert "registers of their own, or interval data" in why
