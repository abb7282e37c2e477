"""The explanation of a bill holds each line's figures, and its arithmetic is right when redone."""

import re
from collections.abc import Iterator
from fractions import Fraction
from random import Random

from services.billing.explain import explain
from services.quantities.money import MINUS, scaled_text
from services.quantities.period import Period
from services.rating import BillLine, RatedBill, rate_usage
from services.rating.version_split import Part, rate_parts
from services.tariffs import parse_tariff
from tests.oracle.arithmetic import CURRENCY_PLACES, Json
from tests.oracle.compare import as_text
from tests.oracle.generator import random_tariff
from tests.oracle.usages import random_bills, random_parts

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_CUT_AFTER = 6


def _plain(text: str) -> str:
    """The text with its minus signs and large numbers as programs read them."""
    return re.sub(r"(?<=[0-9]),(?=[0-9])", "", text.replace(MINUS, "-"))


def _value(expression: str) -> Fraction:
    """What a pocket calculator gives for "3 kW × 2.50 × (19 ÷ 30)"."""
    plain = re.sub(r"[A-Za-z]+", "", expression.rsplit(": ", maxsplit=1)[-1])
    for sign, operator in (("×", "*"), ("÷", "/")):
        plain = plain.replace(sign, operator)
    exact = _NUMBER.sub(lambda number: f"Fraction('{number[0]}')", plain)
    return Fraction(eval(exact, {"Fraction": Fraction}))  # noqa: S307 - digits and signs only


def _equations(text: str) -> Iterator[tuple[str, str, str | None]]:
    """Each "left = result, billed as amount" of an explanation."""
    for row in text.splitlines():
        left, equals, right = row.partition(" = ")
        if equals:
            result, _, billed = re.sub(r" (months?|days?|bills?)$", "", right).partition(
                ", billed as "
            )
            yield left, result, billed or None


def _step(tariff: Json) -> Fraction:
    """What amounts of lines are multiples of."""
    minor = Fraction(1, 10 ** CURRENCY_PLACES[tariff["currency"]])
    rounding = tariff.get("rounding")
    lines = rounding.get("lines") if isinstance(rounding, dict) else None
    return Fraction(lines["to"]) if isinstance(lines, dict) else minor


def _wrong(tariffs: list[Json], bill: RatedBill) -> str | None:
    """What of an explanation is not so."""
    capped = any("at_most" in charge for tariff in tariffs for charge in tariff["charges"])
    step = max(map(_step, tariffs))
    for left, result, billed in _equations(_plain(explain(bill))):
        value = _value(left)
        shown = Fraction(result.removesuffix("…"))
        cut = Fraction(1, 10**_CUT_AFTER) if result.endswith("…") else Fraction(0)
        if abs(value - shown) > cut:
            return f"{left} is {value}, not {result}"
        if billed is not None and not capped and abs(value - Fraction(billed)) >= step:
            return f"{left} = {result} is not billed as {billed}"
    return None


def _figures(line: BillLine, places: int) -> list[str]:
    """What a reader of the bill finds explained: the figures of a line, and of its slabs."""
    figures = [line.description, scaled_text(line.amount_minor, places=places)]
    if line.rate is not None and not line.slabs:
        # Of months and days the explanation has more decimals than the bill.
        counted = line.unit in ("month", "day", "bill")
        figures += [line.rate] if counted else [line.rate, line.quantity]
    for slab in line.slabs:
        figures += [slab.quantity, slab.rate, slab.amount, slab.from_kwh, slab.to_kwh or ""]
    return figures


def test_every_line_of_a_bill_is_explained_with_its_figures_and_they_multiply() -> None:
    for seed in range(400):
        random = Random(seed)  # noqa: S311
        tariff = random_tariff(random)
        ((usage, period),) = random_bills(random, tariff, 1)
        bill = rate_usage(tariff=parse_tariff(tariff), usage=usage, period=period)
        text = _plain(explain(bill))
        for line in bill.lines:
            for figure in _figures(line, CURRENCY_PLACES[bill.currency]):
                assert figure in text, (seed, figure, text, as_text(tariff, usage, period))
        why = _wrong([tariff], bill)
        assert why is None, f"seed {seed}: {why}\n{text}\n{as_text(tariff, usage, period)}"


def test_the_parts_of_a_bill_are_explained_as_rightly() -> None:
    for seed in range(150):
        random = Random(seed)  # noqa: S311
        of_one_kind = {"currency": "USD", "rounding": "half_up"}
        tariffs: list[Json] = [random_tariff(random) | of_one_kind for _ in range(2)]
        parts = random_parts(random, tariffs)
        bill = rate_parts(
            parts=[
                Part(tariff=parse_tariff(tariff), period=period, usage=usage)
                for tariff, (usage, period) in zip(tariffs, parts, strict=True)
            ],
            whole=Period(parts[0][1].start, parts[-1][1].end),
        )
        why = _wrong(tariffs, bill)
        assert why is None, f"seed {seed}: {why}\n{explain(bill)}"
