"""What holds for every bill: more use never costs less, and parts of a bill make up the whole."""

from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from random import Random

from services.quantities.period import Period
from services.rating import BillingDeterminants, RatedBill, rate_many, rate_usage
from services.rating.version_split import Part, rate_parts, split_by_days
from services.tariffs import parse_tariff
from tests.oracle.arithmetic import Json
from tests.oracle.generator import random_tariff, rising_tariff
from tests.oracle.random_charges import decimal
from tests.oracle.usages import batch_of, random_bills

FLAT: Json = {
    "code": "FLAT",
    "name": "Flat",
    "currency": "USD",
    "effective_from": "2000-01-01",
    # Lines are not rounded: only so can parts be compared with the whole to the last digit.
    "rounding": {"lines": "none"},
}


def _with_more(
    random: Random, usage: BillingDeterminants, most: int = 500_000
) -> BillingDeterminants:
    """The same with some more Wh, in one period of each calendar."""
    more = random.choice((1, 999, random.randrange(1, most)))
    by_period = {}
    for name, periods in usage.by_period.items():
        grown = random.choice(list(periods))
        by_period[name] = {**periods, grown: periods[grown] + more}
    return BillingDeterminants(
        wh=usage.wh + more,
        by_period=by_period,
        peak_w=usage.peak_w,
        connected_w=usage.connected_w,
        connected_va=usage.connected_va,
        charged_this_year_minor=usage.charged_this_year_minor,
        closes_year=usage.closes_year,
    )


def test_more_energy_never_costs_less_without_credits_and_cliffs() -> None:
    for seed in range(150):
        random = Random(seed)  # noqa: S311
        tariff = rising_tariff(random)
        ((usage, period),) = random_bills(random, tariff, 1)
        usages = [_with_more(random, usage)]
        for _ in range(8):
            usages.append(_with_more(random, usages[-1]))
        rated = rate_many(
            tariff=parse_tariff(tariff), batch=batch_of([(more, period) for more in usages])
        )
        totals = rated.total_minor.tolist()
        assert totals == sorted(totals), f"seed {seed}: {totals}\n{tariff}"


def _cut(random: Random, period: Period) -> list[Period]:
    """The period in one to four parts."""
    inner = range(1, period.days)
    days = sorted(random.sample(inner, min(len(inner), random.randrange(4))))
    ends = [period.start + timedelta(days=day) for day in (0, *days, period.days)]
    return [Period(start, end) for start, end in pairwise(ends)]


def _in_parts(
    tariff: Json, usage: BillingDeterminants, whole: Period, periods: list[Period]
) -> RatedBill:
    parsed = parse_tariff(tariff)
    usages = split_by_days(usage=usage, whole=whole, periods=periods)
    parts = [
        Part(tariff=parsed, period=period, usage=used)
        for period, used in zip(periods, usages, strict=True)
    ]
    return rate_parts(parts=parts, whole=whole)


def test_splitting_a_period_never_changes_a_flat_energy_charge_before_rounding() -> None:
    for seed in range(100):
        random = Random(seed)  # noqa: S311
        charges = [
            {
                "code": quantity,
                "description": "Energy",
                "kind": "energy",
                "quantity": quantity,
                "rate": decimal(random, negative=True),
            }
            for quantity in ("kwh", "export_kwh")
        ]
        tariff = {**FLAT, "charges": charges}
        ((usage, whole),) = random_bills(random, tariff, 1)
        parted = _in_parts(tariff, usage, whole, _cut(random, whole))
        alone = rate_usage(tariff=parse_tariff(tariff), usage=usage, period=whole)
        assert parted.total_minor == alone.total_minor, seed


def test_the_parts_of_a_usage_add_up_to_it() -> None:
    for seed in range(100):
        random = Random(seed)  # noqa: S311
        tariff = random_tariff(random)
        ((usage, whole),) = random_bills(random, tariff, 1)
        periods = _cut(random, whole)
        parts = split_by_days(usage=usage, whole=whole, periods=periods)
        for name in ("wh", "export_wh", "vah", "varh"):
            total = getattr(usage, name)
            if total is not None:
                assert sum(getattr(part, name) for part in parts) == total, (seed, name)
        for name, of in (("by_period", "wh"), ("export_by_period", "export_wh")):
            for calendar, measured in getattr(usage, name).items():
                for period, wh in measured.items():
                    split = [getattr(part, name)[calendar][period] for part in parts]
                    assert sum(split) == wh, (seed, name, period)
                    assert min(split) >= 0, (seed, name, period)
                for part in parts:
                    assert sum(getattr(part, name)[calendar].values()) == getattr(part, of), seed
        assert sum(part.carried_minor for part in parts) == usage.carried_minor, seed


def test_the_kwh_of_all_lines_of_a_charge_are_the_kwh_of_the_bill() -> None:
    for seed in range(150):
        random = Random(seed)  # noqa: S311
        tariff = random_tariff(random)
        ((usage, period),) = random_bills(random, tariff, 1)
        bill = rate_usage(tariff=parse_tariff(tariff), usage=usage, period=period)
        for charge in tariff["charges"]:
            lines = [line for line in bill.lines if line.code == charge["code"]]
            if charge["kind"] != "energy" or not lines:
                continue
            name = {"export_kwh": "export_wh", "kvah": "vah", "kvarh": "varh"}.get(
                charge.get("quantity", "kwh"), "wh"
            )
            used = Fraction(getattr(usage, name), 1000)
            if tariff.get("whole_kwh"):
                used = Fraction((2 * used.numerator + used.denominator) // (2 * used.denominator))
            assert sum(Fraction(line.quantity) for line in lines) == used, (seed, charge)


def test_slabs_within_a_line_add_up_to_the_line() -> None:
    for seed in range(150):
        random = Random(seed)  # noqa: S311
        tariff = random_tariff(random)
        ((usage, period),) = random_bills(random, tariff, 1)
        for line in rate_usage(tariff=parse_tariff(tariff), usage=usage, period=period).lines:
            if line.slabs:
                assert sum(Fraction(part.quantity) for part in line.slabs) == Fraction(
                    line.quantity
                ), (seed, line)
            for part in line.slabs:
                assert Fraction(part.amount) == Fraction(part.quantity) * Fraction(part.rate)
