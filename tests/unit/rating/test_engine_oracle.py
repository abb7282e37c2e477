"""The rating engine against an oracle of plain fractions, on random tariffs."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from services.quantities.period import Period
from services.rating import BillingDeterminants, UnableToPriceBill, batch, rate_many, rate_usage
from services.rating.version_split import Part as EnginePart
from services.rating.version_split import rate_parts
from services.tariffs import Tariff, parse_tariff
from tests.oracle.arithmetic import Json
from tests.oracle.bill import price, price_parts
from tests.oracle.compare import as_text, difference, difference_in_batch, differs, smallest
from tests.oracle.generator import random_tariff
from tests.oracle.parts import NotPriced, Part
from tests.oracle.usages import batch_of, random_bills, random_parts

# A thousand tariffs, and in CI ten thousand, in parts that run side by side.
PARTS = 4
TARIFFS_OF_A_PART = 2_500 if os.environ.get("CI") == "true" else 250
BILLS_OF_A_TARIFF = 2
PricingContext = list[tuple[BillingDeterminants, Period]]


def _cases(count: int, *, bills: int, first: int = 0) -> Iterator[tuple[int, Json, PricingContext]]:
    """Each from a seed of its own, so that a failure can be repeated alone."""
    for seed in range(first, first + count):
        random = Random(seed)  # noqa: S311
        tariff = random_tariff(random)
        yield seed, tariff, random_bills(random, tariff, bills)


def _fail(seed: int, tariff: Json, usage: BillingDeterminants, period: Period, why: str) -> None:
    """Fail with the smallest tariff that still differs."""

    def found(data: Json, parsed: Tariff) -> str | None:
        bill = rate_usage(tariff=parsed, usage=usage, period=period)
        return difference(bill, price(data, usage, period))

    if found(tariff, parse_tariff(tariff)):
        tariff = smallest(tariff, lambda smaller: differs(smaller, found))
        why = str(found(tariff, parse_tariff(tariff)))
    pytest.fail(f"seed {seed}: {why}\n{as_text(tariff, usage, period)}")


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_bills_of_random_tariffs_are_as_the_oracle_has_them(part: int) -> None:
    first = 100_000 + part * TARIFFS_OF_A_PART
    for seed, tariff, bills in _cases(TARIFFS_OF_A_PART, bills=BILLS_OF_A_TARIFF, first=first):
        rated = rate_many(tariff=parse_tariff(tariff), batch=batch_of(bills))
        for row, (usage, period) in enumerate(bills):
            if why := difference_in_batch(rated, row, price(tariff, usage, period)):
                _fail(seed, tariff, usage, period, why)


def test_a_bill_of_a_batch_is_the_bill_alone_also_beside_huge_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "CHUNK", 3)
    for seed, tariff, bills in _cases(60, bills=8, first=20_000):
        parsed = parse_tariff(tariff)
        rated = rate_many(tariff=parsed, batch=batch_of(bills))
        for row, (usage, period) in enumerate(bills):
            alone = rate_usage(tariff=parsed, usage=usage, period=period)
            assert rated.bill(row) == alone, f"seed {seed}, row {row}"
            expected = price(tariff, usage, period)
            why = difference_in_batch(rated, row, expected) or difference(alone, expected)
            if why:
                _fail(seed, tariff, usage, period, why)


def test_the_sums_of_a_batch_are_those_of_its_bills() -> None:
    for seed, tariff, bills in _cases(20, bills=8, first=21_000):
        rated = rate_many(tariff=parse_tariff(tariff), batch=batch_of(bills))
        for row in range(len(bills)):
            bill = rated.bill(row)
            assert bill.total_minor == sum(line.amount_minor for line in bill.lines), seed
            assert bill.total_minor == bill.subtotal_minor + bill.tax_minor, seed
            assert int(rated.total_minor[row]) == bill.total_minor, seed


def _random_part_tariffs(random: Random) -> list[Json]:
    """One to three tariffs for a bill: of one currency, and often of one rounding."""
    first = random_tariff(random)
    others = [random_tariff(random) for _ in range(random.choice((0, 1, 1, 2)))]
    for tariff in others:
        tariff["currency"] = first["currency"]
        # What one currency is rounded to need not be a multiple of another's minor unit.
        tariff.pop("rounding", None)
        if random.random() < 0.5 and "rounding" in first:
            tariff["rounding"] = first["rounding"]
    return [first, *others]


def test_a_bill_in_parts_is_as_the_oracle_has_it() -> None:
    for seed in range(30_000, 30_250):
        random = Random(seed)  # noqa: S311
        tariffs = _random_part_tariffs(random)
        parts = random_parts(random, tariffs)
        whole = Period(parts[0][1].start, parts[-1][1].end)
        bill = rate_parts(
            parts=[
                EnginePart(tariff=parse_tariff(tariff), period=period, usage=usage)
                for tariff, (usage, period) in zip(tariffs, parts, strict=True)
            ],
            whole=whole,
        )
        expected = price_parts(
            [
                Part(tariff, usage, period, whole)
                for tariff, (usage, period) in zip(tariffs, parts, strict=True)
            ]
        )
        why = difference(bill, expected)
        assert why is None, f"seed {seed}: {why}\n" + "\n".join(
            as_text(tariff, *part) for tariff, part in zip(tariffs, parts, strict=True)
        )


UNMEASURED: dict[str, Any] = {
    "vah": None,
    "varh": None,
    "by_period": {},
    "export_by_period": {},
    "vah_by_period": {},
    "peak_w": None,
    "peak_va": None,
    "peak_var": None,
    "peak_w_by_period": {},
    "peak_va_by_period": {},
    "connected_w": None,
    "connected_va": None,
    "charged_this_year_minor": None,
}


def test_a_charge_without_what_it_needs_is_not_priced_and_all_others_are() -> None:
    refused = 0
    for seed, tariff, ((usage, period),) in _cases(300, bills=1, first=40_000):
        missing = Random(seed).sample(list(UNMEASURED), 3)  # noqa: S311
        known = replace(usage, **{name: UNMEASURED[name] for name in missing})
        try:
            price(tariff, known, period)
        except NotPriced:
            refused += 1
            with pytest.raises(UnableToPriceBill):
                rate_usage(tariff=parse_tariff(tariff), usage=known, period=period)
        else:
            bill = rate_usage(tariff=parse_tariff(tariff), usage=known, period=period)
            if why := difference(bill, price(tariff, known, period)):
                _fail(seed, tariff, known, period, why)
    assert refused > 50


def test_a_tariff_read_back_from_a_database_prices_the_same() -> None:
    for seed, tariff, ((usage, period),) in _cases(150, bills=1, first=50_000):
        parsed = parse_tariff(tariff)
        # Postgres keeps no order of names in jsonb.
        stored = json.loads(json.dumps(parsed.to_json(), sort_keys=True))
        again = parse_tariff(stored)
        assert again == parsed, seed
        bills = [rate_usage(tariff=t, usage=usage, period=period) for t in (parsed, again)]
        assert bills[0] == bills[1], seed
