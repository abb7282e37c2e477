"""Charges of an amount, and those that are computed from other charges."""

from collections.abc import Callable
from fractions import Fraction

from tests.oracle.arithmetic import CURRENCY_PLACES, Json, half_up
from tests.oracle.demand import billed_kw
from tests.oracle.parts import ONE, Exact, NotPriced, Part, months_rule

# What the other charges came to, by code: exact, or as their lines were rounded.
Amounts = Callable[[str], Fraction]


def fixed(part: Part, charge: Json) -> list[Exact]:
    """The one line of an amount per bill, month or day."""
    return [amount_times(part, charge)]


def amount_times(part: Part, charge: Json) -> Exact:
    """`amount` for each bill, month or day, times the load it is stated for."""
    per = charge["per"]
    rule = months_rule(part, charge)
    if charge.get("days_as") == "average_month":
        count = part.count("month", rule) * Fraction(365, 12)
    elif per == "year":
        count = ONE
    elif per == "month" and charge["proration"] == "none":
        count = part.share
    else:
        count = part.count(per, rule)
    amount = Fraction(charge["amount"]) * count
    times = charge.get("times", "one")
    if times == "one":
        return Exact(count, per, amount)
    # The bill shows the kW; how many months or days they are for stands in the line's note.
    kw = load(part, times)
    return Exact(kw, "kVA" if times == "connected_kva" else "kW", amount * kw)


def load(part: Part, times: str) -> Fraction:
    """The kW or kVA that an amount is stated for."""
    if times == "billed_kw":
        return Fraction(billed_kw(part), 1000)
    return Fraction(
        part.have({"connected_kw": "connected_w", "connected_kva": "connected_va"}[times]), 1000
    )


def minimum(part: Part, charge: Json, amounts: Amounts) -> list[Exact]:
    """What other charges lack to a minimum; a year's is asked for once, at its end."""
    base = sum((amounts(code) for code in charge["of"]), Fraction(0))
    if charge["per"] == "year":
        if not part.usage.closes_year:
            return []
        places = CURRENCY_PLACES[part.tariff["currency"]]
        base += Fraction(part.have("charged_this_year_minor"), 10**places)
    least = amount_times(part, charge)
    missing = least.amount - base
    return [Exact(least.quantity, least.unit, missing)] if missing > 0 else []


def percent(_: Part, charge: Json, amounts: Amounts) -> list[Exact]:
    """A percent of other charges, or of an amount that contains it."""
    base = sum((amounts(code) for code in charge["of"]), Fraction(0))
    p = Fraction(charge["percent"])
    return [Exact(base, "%", base * p / (100 - p if charge.get("gross_up") else 100))]


def power_factor(part: Part, charge: Json, amounts: Amounts) -> list[Exact]:
    """A percent of other charges for each 0.01 of power factor below, or above, its target."""
    pf = measured_power_factor(part)
    if pf is None:
        return []
    p = power_factor_percent(charge, pf)
    if not p:
        return []
    base = sum((amounts(code) for code in charge["of"]), Fraction(0))
    return [Exact(base, "%", base * p / 100)]


def measured_power_factor(part: Part) -> Fraction | None:
    """kWh / kVAh, or kWh / √(kWh² + kVArh²), half up to 0.01; None where nothing was used."""
    wh, vah, varh = part.usage.wh, part.usage.vah, part.usage.varh
    if vah is not None:
        return Fraction(half_up(Fraction(100 * wh, vah)), 100) if vah else None
    square = wh * wh + part.have("varh") ** 2 if varh is not None else None
    if square is None:
        raise NotPriced("vah")
    if not square:
        return None
    points = 0
    # The next hundredth is reached when wh / √square ≥ points + 1/2 hundredths.
    while (200 * wh) ** 2 >= (2 * points + 1) ** 2 * square:
        points += 1
    return Fraction(points, 100)


def power_factor_percent(charge: Json, pf: Fraction) -> Fraction:
    """Each step of a hundredth costs what the lowest step of `below` above it says."""
    target = Fraction(charge["target"])
    p = Fraction(0)
    if pf < target:
        steps = [(target, Fraction(charge["percent_per_point"]))] + [
            (Fraction(step["pf"]), Fraction(step["percent_per_point"]))
            for step in charge.get("below", ())
        ]
        for n, (top, rate) in enumerate(steps):
            bottom = steps[n + 1][0] if n + 1 < len(steps) else pf
            p += max(Fraction(0), top - max(bottom, pf)) * 100 * rate
    above = Fraction(charge.get("bonus_above", charge["target"]))
    if "bonus_percent_per_point" in charge and pf > above:
        p -= (pf - above) * 100 * Fraction(charge["bonus_percent_per_point"])
    if "at_most_percent" in charge:
        most = Fraction(charge["at_most_percent"])
        p = max(-most, min(most, p))
    return p
