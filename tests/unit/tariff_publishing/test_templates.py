"""Templates and copies: each is a tariff that prices a month, under a code that is free."""

import json
from datetime import date

import pytest

from services.quantities.period import Period
from services.settings import PROJECT_FOLDER
from services.tariff_publishing.preview import Scenario, flat_shares, needs, priced
from services.tariff_publishing.templates import TEMPLATES, Template, copied, free_code
from services.tariffs import Tariff, parse_tariff

BEGINS = date(2026, 12, 1)
MONTH = Period(date(2026, 12, 1), date(2027, 1, 1))
# What 100 kWh in December come to, with a peak of 10 kW and 5 kW connected.
TOTALS = {
    "FLAT": 50_000,
    # 50 × 3.00 + 50 × 4.50 + 50.00, and 5%.
    "SLABS": 44_625,
    # An even load: 4 of 24 hours at 8.00.
    "TIME-OF-USE": 51_667,
    # Nothing is exported: 50 × 3.00 + 50 × 4.50 + 50.00.
    "NET-METERING": 42_500,
    "SEASONAL": 50_000,
    # 10 × 150.00 + 100 × 5.00 + 5 × 20.00, and 5%.
    "DEMAND": 220_500,
    "MINIMUM": 50_000,
}


def tariff_of(template: Template, currency: str = "INR") -> Tariff:
    return parse_tariff(template.definition(currency=currency, begins=BEGINS, taken=()))


def bill_minor(tariff: Tariff, wh: int = 100_000) -> int:
    shares = {
        name: flat_shares(tariff, calendar=name, period=MONTH) for name in needs(tariff).calendars
    }
    scenario = Scenario(period=MONTH, shares=shares, peak_w=10_000, connected_w=5000)
    return priced(tariff=tariff, scenario=scenario, wh=wh).total_minor


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.code)
def test_a_template_is_a_tariff_that_prices_a_month(template: Template) -> None:
    tariff = tariff_of(template)
    assert tariff.effective_from == BEGINS
    assert bill_minor(tariff) == TOTALS[template.code]


def test_a_minimum_bill_is_the_minimum_where_little_is_used() -> None:
    (template,) = [one for one in TEMPLATES if one.code == "MINIMUM"]
    assert bill_minor(tariff_of(template), wh=1000) == 10_000


@pytest.mark.parametrize("currency", ["JPY", "KWD", "UGX", "USD"])
def test_templates_are_in_the_currency_of_the_utility(currency: str) -> None:
    for template in TEMPLATES:
        tariff = tariff_of(template, currency)
        assert tariff.currency == currency
        assert bill_minor(tariff) > 0


def test_a_code_that_is_taken_is_not_given_again() -> None:
    made = TEMPLATES[0].definition(currency="INR", begins=BEGINS, taken={"FLAT", "FLAT-2"})
    assert made["code"] == "FLAT-3"
    assert free_code("FLAT", taken=()) == "FLAT"


@pytest.mark.parametrize(
    "path", sorted((PROJECT_FOLDER / "examples/tariffs").glob("*.json")), ids=lambda path: path.stem
)
def test_a_copy_charges_as_the_other_does(path: object) -> None:
    other = parse_tariff(json.loads(path.read_text()))  # type: ignore[attr-defined]
    copy = parse_tariff(copied(other, begins=BEGINS, taken={other.code}))
    assert copy.charges == other.charges
    assert copy.calendars == other.calendars
    assert copy.code == f"{other.code}-COPY"
    assert (copy.source, copy.effective_from) == (None, BEGINS)


def test_a_copy_of_long_names_is_still_a_tariff() -> None:
    other = parse_tariff(
        TEMPLATES[0].definition(currency="INR", begins=BEGINS, taken=())
        | {"code": "C" * 64, "name": "n" * 200}
    )
    parse_tariff(copied(other, begins=BEGINS, taken={"C" * 56 + "-COPY"}))
