"""A bill explains its arithmetic, and what it says is true."""

import json
import re
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from services.billing.explain import explain, explain_net
from services.languages.catalogues import OFFERED
from services.languages.language import Language
from services.quantities.period import Period
from services.rating import (
    Bank,
    BillingDeterminants,
    NetBill,
    Part,
    rate,
    rate_parts,
    split_by_days,
)
from services.tariffs import parse_tariff
from tests.unit.rating.pricing import HALF_JUNE, JUNE, fixed, flat, price, slabs, steps_of, tariff

EXAMPLES = Path(__file__).parents[3] / "examples" / "tariffs"
BSES = Period(date(2022, 6, 25), date(2022, 7, 25))


def test_a_bill_with_slabs_and_taxes() -> None:
    kseb = parse_tariff(json.loads((EXAMPLES / "kseb-lt1a.json").read_text(encoding="utf-8")))
    text = explain(rate(tariff=kseb, consumption_wh=117_000, period=JUNE))
    assert text.startswith(
        "Energy charge\n"
        "  0 to 50 kWh: 50 kWh × 3.15 = 157.50\n"
        "  50 to 100 kWh: 50 kWh × 3.70 = 185.00\n"
        "  100 to 150 kWh: 17 kWh × 4.80 = 81.60\n"
        "  157.50 + 185.00 + 81.60 = 424.10\n"
        "\n"
        "Electricity duty, 10% of the energy charge\n"
        "  424.10 × 10 ÷ 100 = 42.41\n"
    )
    assert text.endswith(
        "Total in INR\n"
        "  424.10 + 42.41 + 6.00 + 1.08 + 0.06 + 11.70 + 55.00 = 540.35\n"
        "  Of which taxes: 43.55"
    )


def test_a_prorated_month_is_computed_from_its_days() -> None:
    text = explain(price(tariff(fixed("150", "month", proration="days")), BSES))
    assert text.splitlines()[:4] == [
        "Fixed",
        "  6 of 30 days in June, 24 of 31 days in July.",
        "  6 ÷ 30 + 24 ÷ 31 = 0.974193… months",
        "  (6 ÷ 30 + 24 ÷ 31) × 150 = 146.129032…, billed as 146.13",
    ]


def test_a_ratchet_and_the_days_of_a_demand_charge() -> None:
    charge = {
        "code": "demand",
        "kind": "demand",
        "quantity": "kw",
        "rate": "10",
        "ratchet": {"percent": "80", "months": 11},
        "proration": "days",
    }
    text = explain(price(tariff(charge), HALF_JUNE, peak_w=50_000, past_peaks_w=(100_000,)))
    assert text.splitlines()[1:3] == [
        "  Measured 50 kW; 80% of the highest of 11 months, 100 kW; 15 of 30 days in June.",
        "  80 kW × 10 × (15 ÷ 30) = 400.00",
    ]


def test_parts_are_under_their_days() -> None:
    one = tariff(flat(rate="2"), fixed("30"))
    days = [Period(JUNE.start, date(2025, 6, 11)), Period(date(2025, 6, 11), JUNE.end)]
    shares = split_by_days(usage=BillingDeterminants(wh=90_000), whole=JUNE, periods=days)
    parts = [Part(one, period, share) for period, share in zip(days, shares, strict=True)]
    assert explain(rate_parts(parts=parts, whole=JUNE)).splitlines()[:9] == [
        "1 Jun 2025 to 10 Jun 2025 (10 days)",
        "",
        "Energy",
        "  30 kWh × 2 = 60.00",
        "",
        "Fixed",
        "  10 of 30 days of the bill.",
        "  10 ÷ 30 = 0.333333… bills",
        "  (10 ÷ 30) × 30 = 10.00",
    ]


def test_rounding_and_credits() -> None:
    rounding = {"total": {"to": "5", "carry_forward": True}}
    bill = price(
        tariff(flat(), flat("credit", "-0.125"), rounding=rounding), kwh=9, carried_minor=-50
    )
    assert explain(bill).splitlines() == [
        "Brought forward from the last bill",
        "  −0.50",
        "",
        "Energy",
        "  9 kWh × 1 = 9.00",
        "",
        "Credit",
        "  9 kWh × −0.125 = −1.125, billed as −1.13",
        "",
        "Carried forward to the next bill",
        "  −2.37",
        "",
        "Total in USD",
        "  −0.50 + 9.00 − 1.13 − 2.37 = 5.00",
    ]


KW = {"code": "kw", "kind": "demand", "quantity": "kw"}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "per kW": (fixed("50", "month", proration="days", times="connected_kw"), {}),
    "per kW and day": (fixed("0.75", "day", times="connected_kw"), {}),
    "average month": (fixed("0.30", "day", days_as="average_month"), {}),
    "rounded months": (
        fixed("150", "month", proration="days", months={"places": 2}),
        {},
    ),
    "rounded months per kW": (
        fixed("150", "month", proration="days", months={"places": 5}, times="connected_kw"),
        {},
    ),
    "thirtieths": (fixed("7", "month", proration="days", months={"count": "thirtieths"}), {}),
    "slabs by month": (slabs(("20", "1.111"), (None, "2.3"), slab_limits_per="month"), {}),
    "slabs by day": (
        slabs(("2", "1.111"), (None, "2.3"), slab_limits_per="day", print="line_per_slab"),
        {},
    ),
    "whole use": (slabs(("20", "1.111"), (None, "2.3"), slabs_apply="whole_use"), {}),
    "demand slabs": (
        {**KW, "slabs": steps_of(("2", "5"), (None, "7"), bound="up_to_kw"), "proration": "days"},
        {},
    ),
    "reactive": ({"code": "r", "kind": "reactive", "rate": "0.02"}, {}),
    "minimum": (
        {"code": "m", "kind": "minimum", "amount": "500", "per": "bill", "of": ["base"]},
        {},
    ),
    "gross up": (
        {"code": "p", "kind": "percent", "percent": "7", "of": ["base"], "gross_up": True},
        {},
    ),
    "power factor": (
        {
            "code": "pf",
            "kind": "power_factor",
            "target": "0.9",
            "percent_per_point": "1.5",
            "of": ["base"],
        },
        {},
    ),
    "unrounded": (flat("e", "0.12345"), {"rounding": {"lines": "none"}}),
    "cap": (flat("e", "5", at_most="20"), {}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_result_that_is_shown_is_that_of_the_arithmetic_shown(case: str) -> None:
    charge, fields = CASES[case]
    one = tariff(flat("base", "1.37"), charge, **fields)
    usage = {"kwh": 61, "connected_w": 3500, "peak_w": 4200, "vah": 80_000, "varh": 12_345}
    text = explain(price(one, BSES, **usage))
    shown = [row for row in text.splitlines() if " = " in row]
    assert len(shown) >= 2
    for row in shown:
        arithmetic, result = row.split(": ")[-1].split(" = ")
        told = re.match(r"−?[0-9.]+", result)
        assert told
        found = _evaluated(arithmetic)
        cut = Fraction(1, 10**6) if "…" in result else Fraction(0)
        assert abs(found - Fraction(told[0].replace("−", "-"))) <= cut, row
    if case != "cap":
        _check_billed(text)


def _evaluated(arithmetic: str) -> Fraction:
    """What the text says, with exact numbers."""
    plain = arithmetic.replace("×", "*").replace("÷", "/").replace("−", "-")
    plain = re.sub(r" (kWh|kVArh|kVA|kW|days|day|months|month|bills|bill)\b", "", plain)
    exact = re.sub(r"[0-9]+(\.[0-9]+)?", lambda number: f"Fraction('{number[0]}')", plain)
    value = eval(exact, {"Fraction": Fraction})  # noqa: S307
    assert isinstance(value, Fraction)
    return value


def _check_billed(text: str) -> None:
    """An amount that is billed otherwise than computed is at most half a cent away."""
    for computed, billed in re.findall(r"= (−?[0-9.]+)…?, billed as (−?[0-9.]+)", text):
        assert abs(Fraction(computed) - Fraction(billed)) <= Fraction(1, 200)


def test_net_metering_is_explained_bank_by_bank() -> None:
    banks = {
        "peak": Bank(opening=130_000, imported=210_000, exported=150_000, used=60_000),
        "off_peak": Bank(opening=0, imported=80_000, exported=200_500, added=120_500),
        "": Bank(opening=5_000),
    }
    assert explain_net(NetBill(banks, is_paid=True)) == (
        "Net metering, peak\n"
        "  210 kWh imported \N{MINUS SIGN} 150 kWh exported = 60 kWh\n"
        "  billed: 0 kWh\n"
        "  bank: 130 \N{MINUS SIGN} 60 = 70 kWh\n"
        "\n"
        "Net metering, off peak\n"
        "  80 kWh imported \N{MINUS SIGN} 200.5 kWh exported = \N{MINUS SIGN}120.5 kWh\n"
        "  billed: 0 kWh\n"
        "  bank: 0 + 120.5 = 120.5 kWh\n"
        "\n"
        "Net metering\n"
        "  0 kWh imported \N{MINUS SIGN} 0 kWh exported = 0 kWh\n"
        "  billed: 0 kWh\n"
        "  bank: 5 kWh\n"
    )


LANGUAGES = [tag for tag in OFFERED if tag != "en"]
# Units, a currency, and what the tariffs of these tests call their charges.
STAYS = {"kwh", "kw", "kva", "kvarh", "kvah", "usd"}
# Words of English that other languages have as well.
SHARED = {"factor", "minimum", "total"}


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def test_a_bill_is_explained_in_its_readers_language() -> None:
    kseb = parse_tariff(json.loads((EXAMPLES / "kseb-lt1a.json").read_text(encoding="utf-8")))
    bill = rate(tariff=kseb, consumption_wh=1_117_000, period=JUNE)
    text = explain(bill, Language.of("es"))
    assert text.startswith(
        "Cargo por energía\n"
        "  0 a 50 kWh: 50 kWh × 3,15 = 157,50\n"
        "  50 a 100 kWh: 50 kWh × 3,70 = 185,00\n"
        "  100 a 150 kWh: 50 kWh × 4,80 = 240,00\n"
        "  150 a 200 kWh: 50 kWh × 6,40 = 320,00\n"
        "  Más de 200 kWh: 917 kWh × 7,60 = 6.969,20\n"
        "  157,50 + 185,00 + 240,00 + 320,00 + 6.969,20 = 7.871,70\n"
        "\n"
        "Gravamen a la electricidad, 10 % del cargo por energía\n"
        "  7.871,70 × 10 ÷ 100 = 787,17\n"
    )
    assert text.endswith("= 8.832,71\n  De los cuales impuestos: 788,31")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tag", LANGUAGES)
def test_no_word_of_an_explanation_stays_in_english(case: str, tag: str) -> None:
    charge, fields = CASES[case]
    one = tariff(flat("base", "1.37"), charge, **fields)
    usage = {"kwh": 61, "connected_w": 3500, "peak_w": 4200, "vah": 80_000, "varh": 12_345}
    bill = price(one, BSES, **usage)
    english, said = explain(bill), explain(bill, Language.of(tag))
    names = {word for line in bill.lines for word in words_of(line.description.split(",")[0])}
    left = words_of(said) & words_of(english) - STAYS - names
    assert {word for word in left if len(word) > 3} - SHARED == set(), said


@pytest.mark.parametrize("tag", LANGUAGES)
def test_net_metering_and_rounding_are_explained_in_each_language(tag: str) -> None:
    language = Language.of(tag)
    banks = {
        "peak": Bank(opening=130_000, imported=210_000, exported=150_000, used=60_000),
        "": Bank(opening=5_000),
    }
    said = explain_net(NetBill(banks, is_paid=True), language)
    assert words_of(said) & {"imported", "exported", "billed", "bank", "metering", "peak"} == set()
    rounding = {"total": {"to": "5", "carry_forward": True}}
    bill = price(tariff(flat(), rounding=rounding), kwh=9, carried_minor=-50)
    said = explain(bill, language)
    assert words_of(said) & {"brought", "forward", "carried", "next", "billed"} == set()


def test_arithmetic_runs_from_left_to_right_on_an_arabic_page() -> None:
    bill = price(tariff(flat(rate="2"), fixed("30")), kwh=90)
    rows = [row for row in explain(bill, Language.of("ar")).splitlines() if " = " in row]
    assert rows
    assert all("\u2066" in row and row.endswith("\u2069") for row in rows)
