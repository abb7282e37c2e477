"""The bill as the format describes it: the charges in order, rounded once, and how it ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from services.quantities.period import Period
from services.rating.usage import BillingDeterminants
from tests.oracle.amounts import Amounts, fixed, minimum, percent, power_factor
from tests.oracle.arithmetic import CURRENCY_PLACES, Json, half_up, to_multiple
from tests.oracle.demand import demand, reactive
from tests.oracle.energy import energy
from tests.oracle.parts import Exact, Part, is_present

KINDS: dict[str, Callable[[Part, Json, Amounts], list[Exact]]] = {
    "energy": lambda part, charge, _: energy(part, charge),
    "fixed": lambda part, charge, _: fixed(part, charge),
    "demand": lambda part, charge, _: demand(part, charge),
    "reactive": lambda part, charge, _: reactive(part, charge),
    "percent": percent,
    "power_factor": power_factor,
    "minimum": minimum,
}


@dataclass(frozen=True)
class Line:
    """A line as printed: minor units, and the exact amount behind them."""

    code: str
    quantity: Fraction | None
    unit: str | None
    amount_minor: int
    exact: Fraction


def price(tariff: Json, usage: BillingDeterminants, period: Period) -> list[Line]:
    """The lines of a bill under one tariff."""
    return price_parts([Part(tariff, usage, period, period)])


def price_parts(parts: Sequence[Part]) -> list[Line]:
    """The lines of a bill whose parts are each under a tariff of their own."""
    last = parts[-1].tariff
    unit = Fraction(1, 10 ** CURRENCY_PLACES[last["currency"]])
    lines: list[Line] = []
    for part in parts:
        lines += lines_of_part(part, earlier=list(lines))
    carried = sum(part.usage.carried_minor for part in parts)
    if carried:
        lines.insert(0, Line("brought_forward", None, None, carried, carried * unit))
    return [*lines, *end_of_bill(lines, last, unit)]


def lines_of_part(part: Part, earlier: list[Line]) -> list[Line]:
    """The charges' lines in the tariff's order; a year's minimum counts all parts of the bill."""
    charges = {charge["code"]: charge for charge in part.tariff["charges"]}
    done: dict[str, list[Line]] = {}

    def amount(code: str) -> Fraction:
        return sum((line.exact for line in lines_of(code)), Fraction(0))

    def amount_of_bill(code: str) -> Fraction:
        return amount(code) + sum(
            (line.exact for line in earlier if line.code == code), Fraction(0)
        )

    def lines_of(code: str) -> list[Line]:
        if code not in done:
            charge = charges[code]
            of_others = amount_of_bill if charge.get("per") == "year" else amount
            present = is_present(part, charge)
            exact = KINDS[charge["kind"]](part, charge, of_others) if present else []
            done[code] = [rounded(part.tariff, code, line) for line in capped(part, charge, exact)]
        return done[code]

    return [line for code in charges for line in lines_of(code)]


def capped(part: Part, charge: Json, lines: list[Exact]) -> list[Exact]:
    """`at_most` bounds what the charge has come to, on both sides of 0, before it is rounded.

    It is an amount of the whole bill, which the parts share by days.
    """
    if "at_most" not in charge:
        return lines
    most = Fraction(charge["at_most"]) * part.share
    made = []
    so_far = reached = Fraction(0)
    for line in lines:
        so_far += line.amount
        bounded = max(-most, min(most, so_far))
        made.append(Exact(line.quantity, line.unit, bounded - reached))
        reached = bounded
    return made


def rounded(tariff: Json, code: str, line: Exact) -> Line:
    """The one rounding of a line; `exact` is what other charges and the total are computed from."""
    places = CURRENCY_PLACES[tariff["currency"]]
    rule = line_rule(tariff)
    if isinstance(rule, str):
        return Line(code, line.quantity, line.unit, half_up(line.amount * 10**places), line.amount)
    step = Fraction(rule.get("to") or Fraction(1, 10**places))
    amount = to_multiple(line.amount, step, rule.get("mode", "half_up"))
    return Line(code, line.quantity, line.unit, int(amount * 10**places), amount)


def line_rule(tariff: Json) -> Json | str:
    """How lines are rounded: "none", or a mode and a multiple."""
    rounding = tariff.get("rounding", "half_up")
    if rounding == "half_up":
        return {}
    rule: Json | str = rounding.get("lines", {})
    return rule


def end_of_bill(lines: list[Line], tariff: Json, unit: Fraction) -> list[Line]:
    """The lines that bring the shown amounts to the rounded total."""
    rounding = tariff.get("rounding", "half_up")
    rule = rounding.get("total") if rounding != "half_up" else None
    shown = sum(line.amount_minor for line in lines) * unit
    # Where the last tariff rounds its lines, so were those of a part whose tariff does not.
    unrounded = line_rule(tariff) == "none"
    exact = sum((line.exact for line in lines), Fraction(0)) if unrounded else shown
    to_minor = to_multiple(exact, unit, "half_up")
    if rule is None:
        return difference("rounding", to_minor - shown, unit)
    step = Fraction(rule.get("to") or unit)
    mode = rule.get("mode", "half_up")
    if rule.get("carry_forward"):
        total = to_multiple(exact, step, mode)
        return [
            *difference("rounding", to_minor - shown, unit),
            *difference("carried_forward", total - to_minor, unit),
        ]
    return difference("rounding", to_multiple(exact, step, mode) - shown, unit)


def difference(code: str, amount: Fraction, unit: Fraction) -> list[Line]:
    """A line for what rounding added, where it added something."""
    return [Line(code, None, None, int(amount / unit), amount)] if amount else []
