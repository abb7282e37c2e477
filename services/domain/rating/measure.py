"""From reads of registers to usage: multiplier, rollover, and meters exchanged within a bill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from services.domain.rating.columns import Column, Whole, whole_numbers
from services.domain.rating.usage import Usage
from services.domain.validation import consumption_wh

Registers = Sequence["RegisterSpan"]
_ONE_TO_ONE: Final = 1000


@dataclass(frozen=True, slots=True)
class RegisterSpan:
    """What a register showed at two moments, in Wh (VAh, varh) before the multiplier.

    A bill during which a meter was exchanged has a span of each meter.
    """

    opening_wh: int
    closing_wh: int
    dials: int
    multiplier_milli: int = _ONE_TO_ONE

    @property
    def wh(self) -> int:
        """Wh after the multiplier, at most one rollover apart, half up. Raises ReadingTooLong."""
        return consumption_wh(
            opening_wh=self.opening_wh,
            closing_wh=self.closing_wh,
            dials=self.dials,
            multiplier_milli=self.multiplier_milli,
        )


def usage_from_registers(
    *,
    imported: Registers = (),
    exported: Registers = (),
    apparent: Registers = (),
    reactive: Registers = (),
    by_period: Mapping[str, Mapping[str, Registers]] | None = None,
) -> Usage:
    """The usage that registers show: kWh in and out, kVAh, kVArh, and kWh by calendar and period.

    Without a register of all imported energy, the registers of a calendar's periods add up to it.
    Raises ReadingTooLong.
    """
    periods = {
        calendar: {period: _sum(spans) for period, spans in registers.items()}
        for calendar, registers in (by_period or {}).items()
    }
    first = next(iter(periods.values()), {})
    return Usage(
        wh=_sum(imported) if imported else sum(first.values()),
        export_wh=_sum(exported),
        vah=_sum(apparent) if apparent else None,
        varh=_sum(reactive) if reactive else None,
        by_period=periods,
    )


def wh_of_registers(
    *, opening_wh: Whole, closing_wh: Whole, dials: Whole, multiplier_milli: Whole
) -> Whole:
    """Wh between the reads of many registers, as RegisterSpan.wh has it for one."""
    opening, closing, capacity, multiplier = (
        whole_numbers(values)
        for values in (opening_wh, closing_wh, 10 ** (whole_numbers(dials) + 3), multiplier_milli)
    )
    turned = Column.of((closing - opening) % capacity)
    return (turned * Column.of(multiplier)).times(Fraction(1, _ONE_TO_ONE)).rounded().num


def _sum(spans: Registers) -> int:
    return sum(span.wh for span in spans)
