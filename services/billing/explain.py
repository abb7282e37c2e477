"""A bill's arithmetic as text that a person can follow line by line with a pocket calculator."""

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from fractions import Fraction
from itertools import groupby
from typing import Final

from services.quantities.counting import count
from services.quantities.energy import format_kwh
from services.quantities.money import MINUS, decimal_text, exponent, scaled_text, with_minus_signs
from services.quantities.period import Period, written_day
from services.rating import BillLine, NetBill, RatedBill, SlabPart
from services.tariffs.values import in_words

# What notes say about days, as services/rating writes them.
_DAYS: Final = re.compile(r"([0-9]+) of ([0-9]+) days")
# The last of them: "× 30.4167 days (× 1 month, a month being 365 ÷ 12 days)".
_TIMES: Final = re.compile(r".*× ([0-9.]+) (?:month|day|bill)")
_ROUNDED_MONTHS: Final = re.compile(r"rounded to ([0-9.]+) month")
_GROSS_UP: Final = re.compile(r"× [0-9.-]+ ÷ ([0-9.]+)$")
_AVERAGE_MONTH: Final = "365 ÷ 12"
_SHOWN_PLACES: Final = 6


def explain(bill: RatedBill) -> str:
    """How each line of a bill comes to its amount, and the lines to the total.

    Amounts are in the bill's currency. Results that do not end are cut and marked with "…".
    """
    places = exponent(bill.currency)
    text: list[str] = []
    for (part, is_before), lines in groupby(bill.lines, key=lambda x: (x.part, x.billed_before)):
        heading = f"Less what was billed for {_days(part)}" if part and is_before else ""
        text += [heading or _days(part), ""] if part else []
        text += [row for line in lines for row in (*_explained(line, places), "")]
    return with_minus_signs("\n".join([*text, *_totals(bill, places)]))


def explain_net(net: NetBill) -> str:
    """How the billed energy comes of what was imported and exported, and each bank of kWh."""
    text: list[str] = []
    for name, bank in net.banks.items():
        both = f"{_kwh(bank.imported)} imported {MINUS} {_kwh(bank.exported)} exported"
        parts = [("+", bank.added), (MINUS, bank.used), (MINUS, bank.settled)]
        moves = "".join(f" {sign} {format_kwh(wh)}" for sign, wh in parts if wh)
        before = format_kwh(bank.opening + bank.moved)
        text += [
            f"Net metering, {in_words(name)}" if name else "Net metering",
            f"  {both} = {_kwh(bank.imported - bank.exported)}",
            f"  billed: {_kwh(bank.netted)}",
            f"  bank: {before}{moves} = {_kwh(bank.closing)}" if moves else f"  bank: {before} kWh",
            "",
        ]
    return with_minus_signs("\n".join(text))


def _kwh(wh: int) -> str:
    return f"{format_kwh(wh)} kWh"


def _explained(line: BillLine, places: int) -> Iterator[str]:
    yield line.description
    if line.note:
        yield f"  {line.note[0].upper()}{line.note[1:]}."
    amount = scaled_text(line.amount_minor, places=places)
    if line.unit == "%" and line.rate is not None:
        yield from _percent(line, amount)
    elif line.slabs:
        yield from _slabs(line, amount)
    elif line.rate is not None:
        yield from _product(line, amount)
    else:
        yield f"  {amount}"


def _percent(line: BillLine, amount: str) -> Iterator[str]:
    grossed = _GROSS_UP.search(line.note or "")
    whole = Fraction(grossed.group(1)) if grossed else Fraction(100)
    exact = Fraction(line.quantity) * Fraction(str(line.rate)) / whole
    yield f"  {line.quantity} × {line.rate} ÷ {_decimals(whole)} = {_result(exact, amount)}"


def _product(line: BillLine, amount: str) -> Iterator[str]:
    factor, words = _factor(line)
    quantity, rate = Fraction(line.quantity), Fraction(str(line.rate))
    if factor is None:
        shown = f"{line.quantity} {_unit(line)} × {line.rate}"
        yield f"  {shown} = {_result(quantity * rate, amount)}"
    elif line.unit in ("month", "bill", "day"):
        # The printed count is rounded; the amount is computed from the days themselves.
        yield f"  {words} = {_decimals(factor)} {_unit(line)}"
        yield f"  ({words}) × {line.rate} = {_result(factor * rate, amount)}"
    else:
        shown = f"{line.quantity} {line.unit} × {line.rate} × ({words})"
        yield f"  {shown} = {_result(quantity * rate * factor, amount)}"


def _slabs(line: BillLine, amount: str) -> Iterator[str]:
    for slab in line.slabs:
        product = f"{slab.quantity} {line.unit} × {slab.rate} = {slab.amount}"
        yield f"  {_bounds(slab, line.unit)}: {product}"
    exact = sum((Fraction(slab.amount) for slab in line.slabs), Fraction(0))
    factor, words = _factor(line)
    amounts = " + ".join(slab.amount for slab in line.slabs)
    if factor is not None:
        yield f"  ({amounts}) × ({words}) = {_result(exact * factor, amount)}"
    elif len(line.slabs) > 1 or exact != Fraction(amount):
        yield f"  {amounts} = {_result(exact, amount)}"


def _unit(line: BillLine) -> str:
    counted = line.unit in ("day", "month", "bill", "year")
    return f"{line.unit}s" if counted and line.quantity != "1" else line.unit


def _bounds(slab: SlabPart, unit: str) -> str:
    if slab.to_kwh is not None:
        return f"{slab.from_kwh} to {slab.to_kwh} {unit}"
    return f"Above {slab.from_kwh} {unit}" if slab.from_kwh != "0" else f"All {unit}"


def _factor(line: BillLine) -> tuple[Fraction | None, str]:
    """By what an amount is multiplied for its days, and how that is computed; None if by 1."""
    note = line.note or ""
    if line.unit in ("kWh", "kVAh", "kVArh"):
        return None, ""  # the days of a note about energy are those of its slabs' limits
    terms = [(Fraction(some), Fraction(every)) for some, every in _DAYS.findall(note)]
    if known := _ROUNDED_MONTHS.search(note) or (not terms and _TIMES.search(note)):
        terms = [(Fraction(known[1]), Fraction(1))]
    if not terms:
        return None, ""
    words = " + ".join(
        f"{some} ÷ {every}" if every != 1 else decimal_text(some) for some, every in terms
    )
    factor = sum((some / every for some, every in terms), Fraction(0))
    if _AVERAGE_MONTH in note:
        return factor * Fraction(365, 12), f"({words}) × {_AVERAGE_MONTH}"
    return factor, words


def _totals(bill: RatedBill, places: int) -> Iterator[str]:
    amounts = [scaled_text(line.amount_minor, places=places) for line in bill.lines]
    total = scaled_text(bill.total_minor, places=places)
    yield f"Total in {bill.currency}"
    yield f"  {_added(amounts)} = {total}" if len(amounts) > 1 else f"  {total}"
    if bill.tax_minor:
        yield f"  Of which taxes: {scaled_text(bill.tax_minor, places=places)}"


def _added(amounts: Sequence[str]) -> str:
    """ "1.00 + 2.00 − 0.50"."""
    others = "".join(
        f" {MINUS} {amount.removeprefix('-')}" if amount.startswith("-") else f" + {amount}"
        for amount in amounts[1:]
    )
    return f"{amounts[0]}{others}"


def _result(exact: Fraction, amount: str) -> str:
    """The exact result and, where that is another number, the amount it is rounded to."""
    if exact == Fraction(amount):
        return amount
    return f"{_decimals(exact)}, billed as {amount}"


def _decimals(value: Fraction) -> str:
    """A number with all its decimals, or cut after some and marked with "…"."""
    if 10**_SHOWN_PLACES % value.denominator == 0:
        return _trimmed(value)
    return f"{_trimmed(Fraction(int(value * 10**_SHOWN_PLACES), 10**_SHOWN_PLACES))}…"


def _trimmed(value: Fraction) -> str:
    return scaled_text(int(value * 10**_SHOWN_PLACES), places=_SHOWN_PLACES, trim=True)


def _days(part: Period) -> str:
    last = part.end - timedelta(days=1)
    return f"{written_day(part.start)} to {written_day(last)} ({count(part.days, 'day')})"
