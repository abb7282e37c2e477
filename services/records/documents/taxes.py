"""The taxes of a bill by rate: what each is of, and what it comes to."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from services.quantities.money import decimal_text
from services.rating import BillLine


@dataclass(frozen=True, slots=True)
class TaxAtRate:
    """A tax at one rate. Of a percent `base` is money, else it is counted in `unit`; decimal text.

    `rate` is None where slabs have several. Of what bills before charged, which `is_before`, there
    is an amount alone.
    """

    code: str
    description: str
    rate: str | None
    unit: str
    base: str
    amount_minor: int
    is_before: bool = False

    @property
    def is_percent(self) -> bool:
        """Whether it is a part of money."""
        return self.unit == "%"


def taxes_by_rate(lines: Iterable[BillLine]) -> tuple[TaxAtRate, ...]:
    """The taxes among a bill's lines, in their order; the amounts add up to the bill's tax."""
    found: dict[tuple[str, str | None, str, bool], TaxAtRate] = {}
    for line in lines:
        if not line.tax:
            continue
        key = line.code, line.rate, line.unit, line.billed_before
        before = found.get(key)
        base = "" if line.billed_before else line.quantity
        if before is not None and base:
            base = decimal_text(Fraction(before.base) + Fraction(base))
        found[key] = TaxAtRate(
            code=line.code,
            description=before.description if before else line.description,
            rate=line.rate,
            unit=line.unit,
            base=base,
            amount_minor=line.amount_minor + (before.amount_minor if before else 0),
            is_before=line.billed_before,
        )
    return tuple(found.values())
