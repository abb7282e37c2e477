"""A priced bill: its lines with quantity, rate and amount, and how they are kept as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Literal, Self

from services.quantities.period import Period

Unit = Literal[
    "kWh", "kVAh", "kVArh", "kW", "kVA", "kVAr", "day", "month", "bill", "year", "%"
]  # fmt: skip


class UnableToPriceBill(ValueError):
    """No bill can be computed from what was given; the message says why."""


@dataclass(frozen=True, slots=True)
class SlabPart:
    """The part of a one-line charge in one slab, in decimal text: kWh, rate, unrounded amount.

    Of a demand charge the three quantities are in the line's unit: kW, kVA or kVAr.
    """

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

    For "%" the quantity is the money the percent is of. `rate` is None where slabs have several,
    and where the amount is a difference. `note` says what else the amount follows from, such as
    "19 of 30 days in June". `part` are the days of the line, if the bill has several parts. With
    `billed_before` it takes off what an earlier bill of those days charged.
    """

    code: str
    description: str
    tax: bool
    quantity: str
    unit: Unit
    rate: str | None
    amount_minor: int
    slabs: tuple[SlabPart, ...] = ()
    note: str | None = None
    part: Period | None = None
    billed_before: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object of integers, strings and booleans; without what there is none of."""
        written = {name: getattr(self, name) for name in _ALWAYS}
        if self.slabs:
            written["slabs"] = [part.to_json() for part in self.slabs]
        if self.note is not None:
            written["note"] = self.note
        if self.part is not None:
            start, end = self.part.start.isoformat(), self.part.end.isoformat()
            written["part"] = {"start": start, "end": end}
        if self.billed_before:
            written["billed_before"] = True
        return written

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read back what to_json wrote."""
        days = data.get("part")
        return cls(
            **{name: data[name] for name in _ALWAYS},
            slabs=tuple(map(SlabPart.from_json, data.get("slabs", ()))),
            note=data.get("note"),
            part=Period(*(date.fromisoformat(days[e]) for e in ("start", "end"))) if days else None,
            billed_before=bool(data.get("billed_before")),
        )


_SOMETIMES = ("slabs", "note", "part", "billed_before")
_ALWAYS = tuple(f.name for f in fields(BillLine) if f.name not in _SOMETIMES)


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
