"""Short ways to write a tariff and to read a bill, for the tests of the rating engine."""

from datetime import date
from typing import Any

from services.quantities.money import exponent, scaled_text
from services.quantities.period import Period
from services.rating import BillingDeterminants, RatedBill, rate_usage
from services.tariffs import Tariff, parse_tariff

Json = dict[str, Any]

JUNE = Period(date(2025, 6, 1), date(2025, 7, 1))
HALF_JUNE = Period(date(2025, 6, 1), date(2025, 6, 16))

SEASONS: Json = {
    "summer": {"from": "06-01", "to": "08-31"},
    "winter": {"from": "09-01", "to": "05-31"},
}
BY_SEASON: Json = {
    "periods": {"summer": [{"seasons": ["summer"]}], "winter": [{"seasons": ["winter"]}]}
}
BY_HOUR: Json = {
    "periods": {
        "day": [{"from": "06:00", "to": "22:00"}],
        "night": [{"from": "22:00", "to": "06:00"}],
    }
}


def tariff(*charges: Json, **fields: Any) -> Tariff:
    """A tariff in dollars with these charges, which are described by their codes."""
    described = [{"description": str(c["code"]).capitalize(), **c} for c in charges]
    base = {"code": "T", "name": "T", "currency": "USD", "effective_from": "2000-01-01"}
    return parse_tariff({**base, "charges": described, **fields})


def flat(code: str = "energy", rate: str = "1", **more: Any) -> Json:
    """A rate per kWh."""
    return {"code": code, "kind": "energy", "rate": rate, **more}


def fixed(amount: str, per: str = "bill", code: str = "fixed", **more: Any) -> Json:
    """An amount."""
    return {"code": code, "kind": "fixed", "amount": amount, "per": per, **more}


def slabs(*steps: tuple[str | None, str], **more: Any) -> Json:
    """Slabs as (limit in kWh, rate), the last without limit; per bill unless said otherwise."""
    return {
        "code": "energy",
        "kind": "energy",
        "slabs": steps_of(*steps),
        "slab_limits_per": "bill",
        **more,
    }


def steps_of(*steps: tuple[str | None, str], bound: str = "up_to_kwh") -> list[Json]:
    """Slabs in the tariff's JSON."""
    return [{"rate": rate} | ({bound: limit} if limit else {}) for limit, rate in steps]


def price(of: Tariff, period: Period = JUNE, /, **usage: Any) -> RatedBill:
    """A bill of this usage; `kwh` is short for `wh`."""
    wh = int(usage.pop("kwh", 0) * 1000)
    return rate_usage(tariff=of, usage=BillingDeterminants(**{"wh": wh, **usage}), period=period)


def amounts(bill: RatedBill) -> list[str]:
    """The amounts of the lines."""
    places = exponent(bill.currency)
    return [scaled_text(line.amount_minor, places=places) for line in bill.lines]


def rows(bill: RatedBill) -> list[tuple[str, str, str | None, str]]:
    """Description, quantity, rate and amount of each line."""
    return [
        (line.description, line.quantity, line.rate, amount)
        for line, amount in zip(bill.lines, amounts(bill), strict=True)
    ]
