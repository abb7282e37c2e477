"""A priced bill: its lines with quantity, rate and amount, and how they are kept as JSON."""

from collections.abc import Mapping, Sequence
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

    def to_json(self) -> list[str | None]:
        """A JSON array of strings, in the order of the fields."""
        return [self.from_kwh, self.to_kwh, self.quantity, self.rate, self.amount]

    @classmethod
    def from_json(cls, data: Sequence[Any] | Mapping[str, Any]) -> Self:
        """Read back what to_json wrote, or an object as older versions did."""
        if isinstance(data, Mapping):
            return cls(**{name: data[name] for name in cls.__slots__})
        return cls(*data)


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

    def to_json(self) -> list[Any]:
        """A JSON array of integers, strings and booleans, since names would be most of a bill.

        What only some lines have comes last, in an object.
        """
        written = [
            self.code,
            self.description,
            self.tax,
            self.quantity,
            self.unit,
            self.rate,
            self.amount_minor,
        ]
        more: dict[str, Any] = {}
        if self.slabs:
            more["slabs"] = [part.to_json() for part in self.slabs]
        if self.note is not None:
            more["note"] = self.note
        if self.part is not None:
            start, end = self.part.start.isoformat(), self.part.end.isoformat()
            more["part"] = {"start": start, "end": end}
        if self.billed_before:
            more["billed_before"] = True
        return [*written, more] if more else written

    @classmethod
    def from_json(cls, data: Sequence[Any] | Mapping[str, Any]) -> Self:
        """Read back what to_json wrote, or an object as older versions did."""
        if isinstance(data, Mapping):
            always, more = {name: data[name] for name in _ALWAYS}, data
        else:
            always = dict(zip(_ALWAYS, data, strict=False))
            more = data[len(_ALWAYS)] if len(data) > len(_ALWAYS) else {}
        days = more.get("part")
        return cls(
            **always,
            slabs=tuple(map(SlabPart.from_json, more.get("slabs", ()))),
            note=more.get("note"),
            part=Period(*(date.fromisoformat(days[e]) for e in ("start", "end"))) if days else None,
            billed_before=bool(more.get("billed_before")),
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
