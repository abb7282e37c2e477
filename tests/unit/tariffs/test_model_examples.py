"""Every example of docs/tariff-format.md makes the bill under it; example tariffs can be priced."""

import json
import re
from datetime import date
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from services.quantities.money import scaled_text
from services.quantities.period import Period
from services.rating import BillingDeterminants, BillLine, Part, RatedBill, netted, rate_usage
from services.tariffs import Tariff, parse_tariff

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "tariff-format.md").read_text(encoding="utf-8")
HEAD = {"code": "T", "name": "T", "currency": "USD", "effective_from": "2020-01-01"}
FENCE = re.compile(r"^```(json|bill)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

# How an amount of use is written under an example, and which field of Usage it is.
UNITS = {
    "kWh": "wh",
    "kWh exported": "export_wh",
    "kVAh": "vah",
    "kVArh": "varh",
    "kW": "peak_w",
    "kVA": "peak_va",
    "kVAr": "peak_var",
    "kW connected": "connected_w",
    "kVA connected": "connected_va",
}

# Those of a period, and the totals that the periods add up to.
BY_PERIOD = {
    "kWh": "by_period",
    "kWh exported": "export_by_period",
    "kVAh": "vah_by_period",
    "kW": "peak_w_by_period",
    "kVA": "peak_va_by_period",
}
TOTALS = {"kWh": "wh", "kWh exported": "export_wh", "kVAh": "vah"}


def _examples() -> list[tuple[str, str]]:
    """Each (JSON, bill) of the document; a bill belongs to the JSON above it."""
    found: list[tuple[str, str]] = []
    written = ""
    for kind, text in FENCE.findall(DOCUMENT):
        written = text if kind == "json" else written
        if kind == "bill":
            found.append((written, text))
    return found


EXAMPLES = _examples()


def _thousandths(number: str) -> int:
    return int(Fraction(number) * 1000)


def _usage(tariff: Tariff, items: list[str]) -> BillingDeterminants:
    fields: dict[str, Any] = {"wh": 0}
    for item in items:
        number, what = item.split(" ", 1)
        if what.endswith(" banked"):
            continue
        if what.endswith(" before"):
            fields["past_peaks_w"] = (_thousandths(number),)
        elif what == "carried":
            fields["carried_minor"] = int(Fraction(number) * 100)
        elif what == "charged this year":
            charged = int(Fraction(number) * 100)
            fields |= {"charged_this_year_minor": charged, "closes_year": True}
        elif " in " in what:
            unit, period = what.split(" in ")
            field = BY_PERIOD[unit]
            (calendar,) = tariff.calendars or {}
            fields.setdefault(field, {calendar: {}})[calendar][period] = _thousandths(number)
            if unit in TOTALS:
                total = TOTALS[unit]
                fields[total] = fields.get(total, 0) + _thousandths(number)
        else:
            fields[UNITS[what]] = _thousandths(number)
    return BillingDeterminants(**fields)


def _priced(written: str, bill: str) -> RatedBill:
    tariff = parse_tariff(HEAD | json.loads(written))
    period, *items = bill.splitlines()[0].split(", ")
    start, end = map(date.fromisoformat, period.split(" to "))
    part = Part(tariff, Period(start, end), _usage(tariff, items))
    banked = sum(_thousandths(i.split(" ")[0]) for i in items if i.endswith(" kWh banked"))
    (part,), _ = netted([part], opening={"": banked})
    return rate_usage(tariff=tariff, usage=part.usage, period=part.period)


def _in_words(line: BillLine) -> list[str]:
    amount = scaled_text(line.amount_minor, places=2)
    if line.unit == "%":
        return [line.description, f"{line.rate}% of {line.quantity}", amount]
    price = f" × {line.rate}" if line.rate is not None else ""
    return [line.description, f"{line.quantity} {line.unit}{price}", amount]


def _printed(bill: str) -> list[list[str]]:
    """The cells of a bill's lines: description, what it is of (may be left out), amount."""
    return [re.split(r"\s{2,}", line.strip()) for line in bill.splitlines()[1:]]


def test_the_document_has_examples_and_each_has_a_bill() -> None:
    fences = FENCE.findall(DOCUMENT)
    kinds = [kind for kind, _ in fences]
    assert kinds.count("json") > 25
    assert all(after == "bill" for kind, after in pairwise(kinds) if kind == "json")
    assert DOCUMENT.count("```") == 2 * len(fences)


@pytest.mark.parametrize(("written", "bill"), EXAMPLES)
def test_an_example_is_a_tariff_and_makes_the_bill_under_it(written: str, bill: str) -> None:
    rated = _priced(written, bill)
    *printed, (_, total) = _printed(bill)
    made = [_in_words(line) for line in rated.lines]
    shown = [
        cells if len(expected) == 3 else [cells[0], cells[-1]]
        for cells, expected in zip(made, printed, strict=True)
    ]
    assert shown == printed
    assert scaled_text(rated.total_minor, places=2) == total


# Worked out by hand from the published rates.
XCEL = "2025-07-01 to 2025-08-01, 60 kWh in summer_peak, 240 kWh in summer_off_peak"
KSEB = (
    "2025-06-01 to 2025-07-01, 100000 kWh in normal, 20000 kWh in peak, 30000 kWh in off_peak, "
    "800 kVA, 154639 kVAh"
)
CEB = "2025-06-01 to 2025-07-01, 10 kWh, 3 kW connected"


@pytest.mark.parametrize(
    ("name", "bill", "amounts"),
    [
        ("xcel-colorado-re-tou", XCEL, ["8.19", "21.75", "32.18"]),
        ("kseb-eht-66kv", KSEB, ["336000.00", "630000.00", "189000.00", "141750.00", "-9607.50"]),
        ("ceb-215", CEB, ["100.10", "487.90"]),
    ],
)
def test_an_example_tariff_comes_to_what_its_published_rates_come_to(
    name: str, bill: str, amounts: list[str]
) -> None:
    written = (ROOT / "examples" / "tariffs" / f"{name}.json").read_text(encoding="utf-8")
    assert [_in_words(line)[-1] for line in _priced(written, bill).lines] == amounts
