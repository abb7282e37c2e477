"""How a document writes things in its customer's language: labels, numbers, amounts and dates."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Self

from services.bill_documents.labels import DOCUMENT, LABELS
from services.languages import writing
from services.languages.language import Language
from services.metering.registers import measure_of
from services.quantities.energy import format_kwh
from services.quantities.money import Money, exponent, scaled_text

_QUANTITIES: Final = {"import": "", "export": "export", "kvah": "kvah", "kvarh": "kvarh"}


@dataclass(frozen=True, slots=True)
class Words:
    """Writes in one language and currency."""

    language: Language
    currency: str

    @classmethod
    def of(cls, *, language: str, currency: str) -> Self:
        """Those of a language (an IETF tag) or, where nothing is printed in it, English."""
        return cls(Language.of_documents(language), currency)

    @property
    def tag(self) -> str:
        """The language by its tag, such as hi."""
        return self.language.tag

    @property
    def is_right_to_left(self) -> bool:
        """Whether a page in this language runs from right to left."""
        return self.language.is_right_to_left

    @property
    def labels(self) -> Mapping[str, str]:
        """All printed words by their names."""
        return {name: self.label(name) for name in LABELS}

    def label(self, name: str, **values: object) -> str:
        """A label with its places filled in."""
        return self.language.pgettext(DOCUMENT, LABELS[name], **values)

    def days(self, count: int) -> str:
        """A number of days: 31 days."""
        return self.language.ngettext("{count} day", "{count} days", count)

    def number(self, decimal_text: str) -> str:
        """A decimal text with all its decimals, grouped: 1234.50 -> 1,234.50."""
        return writing.number_of_currency(decimal_text, self.currency, self.language.locale)

    def quantity(self, thousandths: int) -> str:
        """Whole Wh (or W) as kWh (or kW), or a multiplier, without end zeros: 1,117.5."""
        return self.number(format_kwh(thousandths))

    def amount(self, minor: int) -> str:
        """An amount without its currency, for a column that names it: 1,234.50."""
        return self.number(scaled_text(minor, places=exponent(self.currency)))

    def money(self, minor: int) -> str:
        """An amount with its currency: ₹1,234.50."""
        return self.language.money(Money(minor, self.currency))

    def day(self, value: date) -> str:
        """A local date: 12 Nov 2026."""
        return self.language.day(value)

    def long_day(self, value: date) -> str:
        """A local date in full: 12 November 2026."""
        return writing.long_day(value, self.language.locale)

    def month(self, value: date) -> str:
        """A month of a year: Nov 2026."""
        return self.language.month(value)

    def month_alone(self, value: date) -> str:
        """A month: Nov."""
        return writing.month_alone(value, self.language.locale)

    def unit(self, unit: str, *, quantity: str) -> str:
        """A line's unit: kWh and its kin are the same everywhere, days are not."""
        one = {"bill": "bill_one"}.get(unit, unit)
        name = one if quantity == "1" else f"{unit}_many"
        return self.label(name) if name in LABELS else unit

    def register(self, name: str) -> str:
        """What a register counts; a period of the tariff keeps the name the tariff gives it."""
        if not name:
            return self.label("total_energy")
        measure = measure_of(name)
        label = "maximum" if measure.is_maximum else _QUANTITIES[measure.quantity]
        words = [self.label(label)] if label else []
        if measure.period:
            words.append(self.language.pgettext("charge", measure.period.replace("_", " ")))
        text = ", ".join(words)
        return text[:1].upper() + text[1:]

    def method(self, name: str) -> str:
        """How money was paid; a method that is not among the labels as it is."""
        label = f"by_{name}"
        return self.label(label) if label in LABELS else name.replace("_", " ")
