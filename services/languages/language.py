"""A language: what is said in it, from its gettext catalogue, and how it writes values.

A language is passed along, never set for a process: two visitors may be served at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from gettext import NullTranslations
from typing import Final, Literal
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError

from services.languages import writing
from services.languages.catalogues import OF_DOCUMENTS, OFFERED, translations
from services.languages.sentence import Sentence, sentence_of
from services.languages.stored import found_again, sentences_in
from services.languages.writing import ENGLISH, Amount, Capitalized, Placed


@dataclass(frozen=True, slots=True)
class Language:
    """Says and writes in one language: `tag` is its catalogue, its locale may be narrower."""

    tag: str
    locale: Locale
    catalogue: NullTranslations

    @classmethod
    def of(cls, tag: str) -> "Language":
        """That of an IETF tag: Spanish for es-MX, with Mexico's numbers; English for others."""
        return _made(tag.replace("_", "-").lower()[:35], OFFERED)

    @classmethod
    def of_documents(cls, tag: str) -> "Language":
        """The same for what is printed, in more languages than pages and messages."""
        return _made(tag.replace("_", "-").lower()[:35], (*OFFERED, *OF_DOCUMENTS))

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """How a page in it runs, as HTML has it."""
        return "rtl" if self.is_right_to_left else "ltr"

    @property
    def is_right_to_left(self) -> bool:
        """Whether a page in it runs from right to left."""
        return self.locale.text_direction == "rtl"

    @property
    def name(self) -> str:
        """What it calls itself: Español."""
        return own_name(self.tag)

    def gettext(self, text: str, /, **values: object) -> str:
        """A text in this language with its places filled in, each value as the language has it."""
        # Under the empty text a catalogue has its own head.
        return self._filled(self.catalogue.gettext(text) if text else "", values)

    def ngettext(self, one: str, many: str, number: int, /, **values: object) -> str:
        """A text about a number of things; the number stands in the place {count}."""
        found = self.catalogue.ngettext(one, many, number)
        return self._filled(found, {"count": number, **values})

    def pgettext(self, context: str, text: str, /, **values: object) -> str:
        """A text that means something else in another context."""
        return self._filled(self.catalogue.pgettext(context, text), values)

    def say(self, said: object) -> str:
        """A sentence, or the sentence of an error, in this language; other texts as they are."""
        if isinstance(said, BaseException):
            said = sentence_of(said)
        if not isinstance(said, Sentence):
            return self._say_stored(str(said))
        if said.many:
            return self.ngettext(said.text, said.many, said.number, **said.values)
        return self.gettext(said.text, **said.values)

    def _say_stored(self, said: str) -> str:
        """A text that was stored in English, or of the office's own words, which stay."""
        if not said or self.tag == ENGLISH:
            return said
        if (exact := self.catalogue.gettext(said)) != said:
            return exact
        if (found := found_again(said)) is not None:
            return self.say(found)
        parts = list(sentences_in(said))
        return " ".join(map(self._say_stored, parts)) if len(parts) > 1 else said

    def write(self, value: object) -> str:
        """A value: a day, an amount, a number, a sentence; a text as it is."""
        if isinstance(value, Sentence):
            return self.say(value)
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return self.number(f"{value:f}" if isinstance(value, Decimal) else str(value))
        if isinstance(value, date) and not isinstance(value, datetime):
            return self.day(value)
        if isinstance(value, Placed):
            return writing.placed(value, self.locale)
        if isinstance(value, Capitalized):
            return writing.capitalized(self.write(value.said))
        return str(value)

    def isolated(self, values: Mapping[str, object]) -> dict[str, str]:
        """Values as they are written, each kept apart from the text around it.

        In a text that runs from right to left, a name in Latin letters would else take the numbers
        beside it along. For pages: old telephones show the signs.
        """
        start, end = ("\u2068", "\u2069") if self.is_right_to_left else ("", "")
        return {name: f"{start}{self.write(value)}{end}" for name, value in values.items()}

    def number(self, decimal_text: str) -> str:
        """A decimal text with all its decimals, grouped: 1234.50 -> 1,234.50."""
        return writing.number(decimal_text, self.locale)

    def money(self, amount: Amount) -> str:
        """An amount with its currency: ₹1,234.50."""
        return writing.money(amount.text, amount.currency, self.locale)

    def day(self, value: date) -> str:
        """A local date: 12 Nov 2026."""
        return writing.day(value, self.locale)

    def month(self, value: date) -> str:
        """The month of a local date: Nov 2026."""
        return writing.month(value, self.locale)

    def short_month(self, value: date) -> str:
        """The month of a local date below a chart: Nov 26."""
        return writing.short_month(value, self.locale)

    def month_letter(self, value: date) -> str:
        """A month in one letter: N."""
        return writing.month_letter(value, self.locale)

    def moment(self, value: datetime, zone: ZoneInfo) -> str:
        """An instant in the utility's zone: 12 Nov 2026, 14:05."""
        local = value.astimezone(zone)
        joint = "، " if self.is_right_to_left else ", "
        return f"{self.day(local.date())}{joint}{local:%H:%M}"

    def period(self, start: date, end: date) -> str:
        """A billing period by its two reading dates: 12 Oct – 12 Nov 2026 (31 days)."""
        same = start.year == end.year
        first = writing.day_of_month(start, self.locale) if same else self.day(start)
        days = self.ngettext("{count} day", "{count} days", (end - start).days)
        return f"{first} – {self.day(end)} ({days})"

    def _filled(self, text: str, values: dict[str, object]) -> str:
        if not values:
            return text
        return text.format(**{name: self.write(value) for name, value in values.items()})


@lru_cache(maxsize=256)
def _made(tag: str, among: tuple[str, ...]) -> Language:
    base = tag.partition("-")[0]
    if base not in among:
        tag = base = ENGLISH
    return Language(base, writing.locale_of(tag), translations(base))


def own_name(tag: str) -> str:
    """What a language calls itself: Español; one that nobody knows by its tag."""
    try:
        locale = Locale.parse(tag, sep="-")
    except (ValueError, UnknownLocaleError):
        return tag
    name = locale.get_language_name(locale.language) or tag
    return name[:1].upper() + name[1:]


def wanted(accept_language: str, *, otherwise: str) -> Language:
    """The first offered language of an Accept-Language header (RFC 9110), or another tag's."""
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept_language[:500].split(",")):
        tag, _, weight = part.strip().partition(";")
        if tag.partition("-")[0].lower() in OFFERED and (quality := _quality(weight)) > 0:
            ranked.append((-quality, place, tag))
    return Language.of(min(ranked)[2] if ranked else otherwise)


def _quality(weight: str) -> float:
    name, _, value = weight.strip().partition("=")
    if not name:
        return 1
    try:
        return float(value) if name == "q" else 0
    except ValueError:
        return 0


ENGLISH_LANGUAGE: Final = Language.of(ENGLISH)
