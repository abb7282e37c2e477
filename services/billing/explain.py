"""A bill's arithmetic as text that a person can follow line by line with a pocket calculator."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import groupby
from typing import Final

from services.bill_documents.line_names import line_name, line_note
from services.bill_documents.words import Words
from services.languages.language import ENGLISH_LANGUAGE, Language
from services.quantities.energy import kwh_value
from services.quantities.money import MINUS, decimal_text, exponent, scaled_text
from services.quantities.period import Period
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


def explain(bill: RatedBill, language: Language = ENGLISH_LANGUAGE) -> str:
    """How each line of a bill comes to its amount, and the lines to the total.

    Amounts are in the bill's currency; words, numbers and days are as the language has them.
    Results that do not end are cut and marked with "…".
    """
    return _Explained(language, bill.currency).bill(bill)


def explain_net(net: NetBill, language: Language = ENGLISH_LANGUAGE) -> str:
    """How the billed energy comes of what was imported and exported, and each bank of kWh."""
    said = _Said(language)
    text: list[str] = []
    for name, bank in net.banks.items():
        own = language.pgettext("charge", in_words(name)) if name else ""
        heading = (
            language.gettext("Net metering, {period}", period=own)
            if name
            else language.gettext("Net metering")
        )
        both = language.gettext(
            "{imported} imported \N{MINUS SIGN} {exported} exported",
            imported=said.kwh(bank.imported),
            exported=said.kwh(bank.exported),
        )
        parts = [("+", bank.added), (MINUS, bank.used), (MINUS, bank.settled)]
        moves = "".join(f" {sign} {language.write(kwh_value(wh))}" for sign, wh in parts if wh)
        before = bank.opening + bank.moved
        banked = said.kwh(before)
        if moves:
            banked = f"{language.write(kwh_value(before))}{moves} = {said.kwh(bank.closing)}"
        billed = language.gettext("billed: {energy}", energy=said.kwh(bank.netted))
        kept = language.gettext("bank: {energy}", energy=said.formula(banked))
        netted = said.formula(f"{both} = {said.kwh(bank.imported - bank.exported)}")
        text += [heading, *(f"  {row}" for row in (netted, billed, kept)), ""]
    return "\n".join(text)


@dataclass(frozen=True, slots=True)
class _Said:
    """Formulas and energy in a language."""

    language: Language

    def kwh(self, wh: int) -> str:
        return f"{self.language.write(kwh_value(wh))} kWh"

    def formula(self, text: str) -> str:
        """Arithmetic, which runs from left to right also among words that do not."""
        return f"\u2066{text}\u2069" if self.language.is_right_to_left else text


@dataclass(frozen=True, slots=True)
class _Explained:
    """The lines of a bill explained in a language, in amounts of its currency."""

    language: Language
    currency: str

    @property
    def words(self) -> Words:
        return Words(self.language, self.currency)

    def bill(self, bill: RatedBill) -> str:
        text: list[str] = []
        parts = groupby(bill.lines, key=lambda line: (line.part, line.billed_before))
        for (part, is_before), lines in parts:
            if part:
                text += [self._heading(part, is_before=is_before), ""]
            text += [row for line in lines for row in (*self._line(line), "")]
        return "\n".join([*text, *self._totals(bill)])

    def _heading(self, part: Period, *, is_before: bool) -> str:
        days = self.language.gettext(
            "{start} to {end} ({days})",
            start=part.start,
            end=part.end - timedelta(days=1),
            days=self.words.days(part.days),
        )
        if not is_before:
            return days
        return self.language.gettext("Less what was billed for {days}", days=days)

    def _line(self, line: BillLine) -> Iterator[str]:
        yield line_name(line, self.language)
        if line.note:
            note = line_note(line.note, self.language)
            yield "  " + self.language.gettext("{note}.", note=f"{note[0].upper()}{note[1:]}")
        amount = scaled_text(line.amount_minor, places=exponent(self.currency))
        if line.unit == "%" and line.rate is not None:
            yield self._percent(line, amount)
        elif line.slabs:
            yield from self._slabs(line, amount)
        elif line.rate is not None:
            yield from self._product(line, amount)
        else:
            yield self._formula(self._number(amount))

    def _percent(self, line: BillLine, amount: str) -> str:
        grossed = _GROSS_UP.search(line.note or "")
        whole = Fraction(grossed.group(1)) if grossed else Fraction(100)
        exact = Fraction(line.quantity) * Fraction(str(line.rate)) / whole
        shown = " ".join(
            (self._number(line.quantity), "×", self._number(str(line.rate)), "÷", self._cut(whole))
        )
        return self._formula(f"{shown} = {self._result(exact, amount)}")

    def _product(self, line: BillLine, amount: str) -> Iterator[str]:
        factor, words = self._factor(line)
        quantity, rate = Fraction(line.quantity), Fraction(str(line.rate))
        shown, unit = self._number(str(line.rate)), self._unit(line)
        if factor is None:
            result = self._result(quantity * rate, amount)
            yield self._formula(f"{self._number(line.quantity)} {unit} × {shown} = {result}")
        elif line.unit in ("month", "bill", "day"):
            # The printed count is rounded; the amount is computed from the days themselves.
            yield self._formula(f"{words} = {self._cut(factor)} {unit}")
            yield self._formula(f"({words}) × {shown} = {self._result(factor * rate, amount)}")
        else:
            result = self._result(quantity * rate * factor, amount)
            number = self._number(line.quantity)
            yield self._formula(f"{number} {unit} × {shown} × ({words}) = {result}")

    def _slabs(self, line: BillLine, amount: str) -> Iterator[str]:
        unit = self._unit(line)
        for slab in line.slabs:
            quantity, rate = self._number(slab.quantity), self._number(slab.rate)
            product = f"{quantity} {unit} × {rate} = {self._number(slab.amount)}"
            yield f"  {self._bounds(slab, unit)}: {self._isolated(product)}"
        exact = sum((Fraction(slab.amount) for slab in line.slabs), Fraction(0))
        factor, words = self._factor(line)
        amounts = " + ".join(self._number(slab.amount) for slab in line.slabs)
        if factor is not None:
            result = self._result(exact * factor, amount)
            yield self._formula(f"({amounts}) × ({words}) = {result}")
        elif len(line.slabs) > 1 or exact != Fraction(amount):
            yield self._formula(f"{amounts} = {self._result(exact, amount)}")

    def _bounds(self, slab: SlabPart, unit: str) -> str:
        start = self._number(slab.from_kwh)
        if slab.to_kwh is not None:
            end = self._number(slab.to_kwh)
            return self.language.pgettext(
                "charge", "{start} to {end} {unit}", start=start, end=end, unit=unit
            )
        if slab.from_kwh != "0":
            said = self.language.pgettext("charge", "above {start} {unit}", start=start, unit=unit)
        else:
            said = self.language.pgettext("charge", "all {unit}", unit=unit)
        return f"{said[0].upper()}{said[1:]}"

    def _factor(self, line: BillLine) -> tuple[Fraction | None, str]:
        """By what an amount is multiplied for its days, and how that comes; None if by 1."""
        note = line.note or ""
        if line.unit in ("kWh", "kVAh", "kVArh"):
            return None, ""  # the days of a note about energy are those of its slabs' limits
        terms = [(Fraction(some), Fraction(every)) for some, every in _DAYS.findall(note)]
        if known := _ROUNDED_MONTHS.search(note) or (not terms and _TIMES.search(note)):
            terms = [(Fraction(known[1]), Fraction(1))]
        if not terms:
            return None, ""
        words = " + ".join(
            f"{some} ÷ {every}" if every != 1 else self._number(decimal_text(some))
            for some, every in terms
        )
        factor = sum((some / every for some, every in terms), Fraction(0))
        if _AVERAGE_MONTH in note:
            return factor * Fraction(365, 12), f"({words}) × {_AVERAGE_MONTH}"
        return factor, words

    def _totals(self, bill: RatedBill) -> Iterator[str]:
        amounts = [self.words.amount(line.amount_minor) for line in bill.lines]
        total = self.words.amount(bill.total_minor)
        yield self.language.gettext("Total in {currency}", currency=bill.currency)
        yield self._formula(f"{_added(amounts)} = {total}" if len(amounts) > 1 else total)
        if bill.tax_minor:
            taxes = self.words.amount(bill.tax_minor)
            yield "  " + self.language.gettext("Of which taxes: {amount}", amount=taxes)

    def _result(self, exact: Fraction, amount: str) -> str:
        """The exact result and, where that is another number, the amount it is rounded to."""
        if exact == Fraction(amount):
            return self._number(amount)
        return self.language.gettext(
            "{exact}, billed as {amount}", exact=self._cut(exact), amount=self._number(amount)
        )

    def _cut(self, value: Fraction) -> str:
        """A number with all its decimals, or cut after some and marked with "…"."""
        whole = value * 10**_SHOWN_PLACES
        text = self._number(scaled_text(int(whole), places=_SHOWN_PLACES, trim=True))
        return text if whole.denominator == 1 else f"{text}…"

    def _number(self, decimal_text: str) -> str:
        return self.words.number(decimal_text)

    def _unit(self, line: BillLine) -> str:
        return self.words.unit(line.unit, quantity=line.quantity)

    def _isolated(self, text: str) -> str:
        return _Said(self.language).formula(text)

    def _formula(self, text: str) -> str:
        return f"  {self._isolated(text)}"


def _added(amounts: Sequence[str]) -> str:
    """ "1.00 + 2.00 − 0.50"."""
    first, *others = amounts
    return "".join((first, *(f" {_signed(amount)}" for amount in others)))


def _signed(amount: str) -> str:
    bare = amount.lstrip("\u200e")
    return f"{MINUS} {bare.removeprefix(MINUS)}" if bare.startswith(MINUS) else f"+ {amount}"
