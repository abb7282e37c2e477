"""The price of a period's energy: a tariff, the Wh used and the days become the lines of a bill."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final, Literal, Self, assert_never

from services.domain.energy import format_kwh
from services.domain.money import exponent, round_half_up, scaled_text
from services.domain.period import Period
from services.domain.tariff import (
    Charge,
    EnergyCharge,
    FixedCharge,
    Per,
    PercentCharge,
    Tariff,
    dependency_order,
    exact,
)

Unit = Literal["kWh", "day", "month", "bill", "%"]

_WH_IN_KWH: Final = 1000
_MONTH_PLACES: Final = 4


class UnableToPriceBill(ValueError):
    """No bill can be computed from what was given; the message says why."""


@dataclass(frozen=True, slots=True)
class SlabPart:
    """The part of a one-line charge in one slab, in decimal text: kWh, rate, unrounded amount."""

    from_kwh: str
    to_kwh: str | None
    quantity: str
    rate: str
    amount: str

    def to_json(self) -> dict[str, str | None]:
        """A JSON object of strings, under the names of the fields."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what to_json wrote."""
        return cls(**{name: data[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class BillLine:
    """A printed line: quantity (decimal text) in `unit` × `rate`, rounded to minor units once.

    For "%" the quantity is the money the percent is of. `rate` is None where slabs have several.
    """

    code: str
    description: str
    tax: bool
    quantity: str
    unit: Unit
    rate: str | None
    amount_minor: int
    slabs: tuple[SlabPart, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON object of integers, strings and booleans; without `slabs` when there are none."""
        written = {name: getattr(self, name) for name in self.__slots__ if name != "slabs"}
        return written | ({"slabs": [part.to_json() for part in self.slabs]} if self.slabs else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what to_json wrote."""
        known = {name: data[name] for name in cls.__slots__ if name != "slabs"}
        return cls(**known, slabs=tuple(map(SlabPart.from_json, data.get("slabs", ()))))


@dataclass(frozen=True, slots=True)
class RatedBill:
    """The priced lines, in the tariff's order, and their sums in minor units of `currency`."""

    currency: str
    lines: tuple[BillLine, ...]

    @property
    def subtotal_minor(self) -> int:
        """The sum of the lines that are not taxes."""
        return sum(line.amount_minor for line in self.lines if not line.tax)

    @property
    def tax_minor(self) -> int:
        """The sum of the lines that are taxes."""
        return sum(line.amount_minor for line in self.lines if line.tax)

    @property
    def total_minor(self) -> int:
        """The sum of all lines: what the customer owes for the period."""
        return self.subtotal_minor + self.tax_minor


def rate(*, tariff: Tariff, consumption_wh: int, period: Period) -> RatedBill:
    """Price `consumption_wh` used over the local days of `period`. Raises UnableToPriceBill."""
    if isinstance(consumption_wh, bool) or not isinstance(consumption_wh, int):
        raise UnableToPriceBill("The energy used must be a whole number of Wh.")
    if consumption_wh < 0:
        raise UnableToPriceBill(f"A use of {format_kwh(consumption_wh)} kWh cannot be billed.")
    rating = _Rating(exponent(tariff.currency), consumption_wh, period)
    charges = {charge.code: charge for charge in tariff.charges}
    lines: dict[str, tuple[BillLine, ...]] = {}
    for code in dependency_order(tariff.charges):
        lines[code] = rating.lines_of(charges[code], lines)
    printed = (line for charge in tariff.charges for line in lines[charge.code])
    return RatedBill(currency=tariff.currency, lines=tuple(printed))


def tariff_in_force(versions: Sequence[Tariff], on: date) -> Tariff:
    """The version of a tariff that holds on a local date. Raises UnableToPriceBill."""
    begun = [version for version in versions if version.effective_from <= on]
    if not begun:
        raise UnableToPriceBill(f"No version of the tariff is in force on {on.isoformat()}.")
    return max(begun, key=lambda version: version.effective_from)


@dataclass(frozen=True, slots=True)
class _SlabUse:
    """Energy that fell into one slab, whose limits were scaled to the period."""

    from_wh: int
    to_wh: int | None
    used_wh: int
    rate: str


@dataclass(frozen=True, slots=True)
class _Rating:
    """One bill being priced: what its charges are computed from."""

    places: int
    consumption_wh: int
    period: Period

    def lines_of(
        self, charge: Charge, earlier: Mapping[str, tuple[BillLine, ...]]
    ) -> tuple[BillLine, ...]:
        """The lines of one charge; `earlier` holds those of the charges it is a percent of."""
        match charge:
            case EnergyCharge(rate=str(flat)):
                kwh = format_kwh(self.consumption_wh)
                cost = _energy_cost(self.consumption_wh, flat)
                return (self._line(charge, kwh, "kWh", flat, cost),)
            case EnergyCharge():
                return self._slab_lines(charge)
            case FixedCharge():
                return (self._fixed_line(charge),)
            case PercentCharge():
                return (self._percent_line(charge, earlier),)
            case _:  # pragma: no cover
                assert_never(charge)

    def _line(
        self,
        charge: Charge,
        quantity: str,
        unit: Unit,
        rate_text: str | None,
        amount: Fraction,
        *,
        description: str | None = None,
        slabs: tuple[SlabPart, ...] = (),
    ) -> BillLine:
        return BillLine(
            code=charge.code,
            description=description or charge.description,
            tax=charge.tax,
            quantity=quantity,
            unit=unit,
            rate=rate_text,
            # The one place where an amount is rounded.
            amount_minor=round_half_up(amount * 10**self.places),
            slabs=slabs,
        )

    def _slab_lines(self, charge: EnergyCharge) -> tuple[BillLine, ...]:
        every = self._slab_uses(charge)
        used = [use for use in every if use.used_wh]
        if charge.print == "line_per_slab" and used:
            return tuple(self._line_of_slab(charge, use) for use in used)
        rates = {use.rate for use in used or every[:1]}
        return (
            self._line(
                charge,
                format_kwh(self.consumption_wh),
                "kWh",
                rates.pop() if len(used) <= 1 else None,
                sum((_energy_cost(use.used_wh, use.rate) for use in used), Fraction(0)),
                slabs=tuple(self._slab_part(use) for use in used),
            ),
        )

    def _slab_uses(self, charge: EnergyCharge) -> list[_SlabUse]:
        slabs = charge.slabs or ()
        scale = _times(charge.slab_limits_per or "bill", self.period)
        # Energy is whole Wh, so a limit scaled to the period ends on a Wh: then the printed parts
        # add up to the use, and each times its rate is exactly its amount.
        limits = [
            round_half_up(exact(slab.up_to_kwh) * scale * _WH_IN_KWH) if slab.up_to_kwh else None
            for slab in slabs
        ]
        uses = []
        for slab, (start, end) in zip(slabs, pairwise([0, *limits]), strict=True):
            begin = start or 0
            reached = self.consumption_wh if end is None else min(self.consumption_wh, end)
            uses.append(_SlabUse(begin, end, max(0, reached - begin), slab.rate))
        return uses

    def _line_of_slab(self, charge: EnergyCharge, use: _SlabUse) -> BillLine:
        start, end = format_kwh(use.from_wh), use.to_wh
        which = f"above {start} kWh" if end is None else f"{start} to {format_kwh(end)} kWh"
        if end is None and not use.from_wh:
            which = "all kWh"
        return self._line(
            charge,
            format_kwh(use.used_wh),
            "kWh",
            use.rate,
            _energy_cost(use.used_wh, use.rate),
            description=f"{charge.description}, {which}",
        )

    def _slab_part(self, use: _SlabUse) -> SlabPart:
        return SlabPart(
            from_kwh=format_kwh(use.from_wh),
            to_kwh=None if use.to_wh is None else format_kwh(use.to_wh),
            quantity=format_kwh(use.used_wh),
            rate=use.rate,
            amount=_decimal_text(_energy_cost(use.used_wh, use.rate), least_places=self.places),
        )

    def _fixed_line(self, charge: FixedCharge) -> BillLine:
        once = charge.per == "month" and charge.proration == "none"
        times = Fraction(1) if once else _times(charge.per, self.period)
        shown = round_half_up(times * 10**_MONTH_PLACES)
        quantity = scaled_text(shown, places=_MONTH_PLACES, trim=True)
        amount = exact(charge.amount) * times
        return self._line(charge, quantity, charge.per, charge.amount, amount)

    def _percent_line(
        self, charge: PercentCharge, earlier: Mapping[str, tuple[BillLine, ...]]
    ) -> BillLine:
        base = sum(line.amount_minor for code in charge.of for line in earlier[code])
        amount = Fraction(base, 10**self.places) * exact(charge.percent) / 100
        base_text = scaled_text(base, places=self.places)
        return self._line(charge, base_text, "%", charge.percent, amount)


def _times(per: Per, period: Period) -> Fraction:
    """How many bills, months or days a period is."""
    match per:
        case "bill":
            return Fraction(1)
        case "month":
            return period.months()
        case "day":
            return Fraction(period.days)


def _energy_cost(wh: int, rate_per_kwh: str) -> Fraction:
    return exact(rate_per_kwh) * wh / _WH_IN_KWH


def _decimal_text(value: Fraction, *, least_places: int) -> str:
    """An exact decimal, with at least the currency's places; rates have at most 12, Wh add 3."""
    places = least_places
    while (value * 10**places).denominator != 1:
        places += 1
    return scaled_text(int(value * 10**places), places=places)
