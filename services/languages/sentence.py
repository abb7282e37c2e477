"""Sentences that are written in English where they arise, and said in a language where they show.

A `Sentence` is a text: whoever knows nothing of languages reads the English. `Language.say` finds
its translation. `N_` and `P_` mark texts in tables for the catalogues and change nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

from services.languages import writing

_ENGLISH = writing.locale_of(writing.ENGLISH)


class Sentence(str):
    """A filled-in English sentence that keeps the text of the catalogue and its values."""

    text: str
    many: str
    number: int
    values: dict[str, object]

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (str(self), self.text, self.many, self.number, self.values)


def sentence(text: str, /, **values: object) -> Sentence:
    """A sentence with named places: sentence("{user} did it", user="meera")."""
    return _again(_filled(text, values), text, "", 0, values)


def nsentence(one: str, many: str, number: int, /, **values: object) -> Sentence:
    """A sentence about a number of things, which stands in the place {count}."""
    values = {"count": number, **values}
    return _again(_filled(one if number == 1 else many, values), one, many, number, values)


def joined(parts: Iterable[object], by: str = ", ") -> Sentence:
    """Values and sentences one after the other, each said in the language of the reader."""
    values: dict[str, object] = {f"part_{place}": part for place, part in enumerate(parts)}
    return sentence(by.join(f"{{{name}}}" for name in values), **values)


def ended(said: str) -> str:
    """A text or sentence with its full stop, where it lacks one."""
    return said if said.endswith(".") else sentence("{said}.", said=said)


def joined_by_and(parts: Sequence[object]) -> object:
    """One or several, the last after an "and": peak and night."""
    *others, last = parts
    if not others:
        return last
    return sentence("{first} and {last}", first=joined_by_and(others), last=last)


def one_of(parts: Sequence[object]) -> object:
    """One or several to choose from: peaches, pears or plums."""
    *others, last = parts
    return sentence("{first} or {last}", first=joined(others), last=last) if others else last


def listed(parts: Sequence[object]) -> object:
    """One or several as a list: peaches, pears and plums."""
    *others, last = parts
    return sentence("{first} and {last}", first=joined(others), last=last) if others else last


def sentence_of(error: BaseException) -> str:
    """What an error says: its Sentence, which can be said in other languages, or its text."""
    return next((arg for arg in error.args if isinstance(arg, Sentence)), str(error))


def with_values(said: Sentence, **values: object) -> Sentence:
    """The same sentence with other values in those of its places, and of those within it."""
    found = {
        name: with_values(value, **values)
        if isinstance(value, Sentence)
        else values.get(name, value)
        for name, value in said.values.items()
    }
    if not said.many:
        return sentence(said.text, **found)
    found.pop("count", None)
    return nsentence(said.text, said.many, said.number, **found)


def N_(text: str, /) -> str:  # noqa: N802 - as gettext calls it
    """Mark a text of a table for the catalogues."""
    return text


def NN_(one: str, many: str, /) -> tuple[str, str]:  # noqa: N802
    """Mark a text about a number of things for the catalogues."""
    return one, many


def P_(context: str, text: str, /) -> str:  # noqa: ARG001, N802
    """Mark a text that means something else in another context."""
    return text


def in_english(value: object) -> str:
    """A value as English writes it: days, amounts and numbers; texts as they are."""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | Decimal):
        # As Babel writes it, and many times faster: a run validates a reading with dozens of these.
        text = f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"
        return text.replace("-", writing.MINUS)
    if isinstance(value, date) and not isinstance(value, datetime):
        return writing.day(value, _ENGLISH)
    if isinstance(value, writing.Placed):
        return writing.placed(value, _ENGLISH)
    if isinstance(value, writing.Capitalized):
        return writing.capitalized(value.said)
    return str(value)


def _filled(text: str, values: dict[str, object]) -> str:
    if not values:
        return text
    return text.format(**{name: in_english(value) for name, value in values.items()})


def _again(said: str, text: str, many: str, number: int, values: dict[str, object]) -> Sentence:
    made = Sentence(said)
    made.text, made.many, made.number, made.values = text, many, number, values
    return made
