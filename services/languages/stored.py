"""Sentences that are kept in English, found again among the texts of the catalogues.

A job's summary or an alert is stored as a text: the values that were filled in are read out of it
again. What is none of the texts stays as it is.
"""

import re
from calendar import month_name
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Final

from services.languages.catalogues import OFFERED, read
from services.languages.sentence import Sentence, joined, joined_by_and, nsentence, sentence
from services.languages.writing import ENGLISH, MINUS, Month

_PLACE: Final = re.compile(r"\{([A-Za-z_]\w*)\}")
_WORD: Final = re.compile(r"[A-Za-z]{2,}")
# With fewer words of its own, a text would fit to what somebody typed.
_FEWEST_WORDS: Final = 2
_DAY: Final = re.compile(r"\d{1,2} [A-Z][a-z]{2} \d{4}")
_GROUPED: Final = re.compile(r"\d{1,3}(,\d{3})+")
# Places whose names end in a unit hold numbers; elsewhere "1.8" may be a name or a version.
_MEASURED: Final = re.compile(r"(.+_)?(kwh|kw|times|percent)")
_DATED: Final = re.compile(r"(.+_)?day(_[0-9])?")
_NUMBER: Final = re.compile(rf"{MINUS}?(\d+|\d{{1,3}}(,\d{{3}})+)(\.\d+)?")
# What says in one word what another sentence is about: Register {name}: {error}.
_HEADING: Final = re.compile(r"[A-Z][a-z]+ \{\w+\}: \{\w+\}")
_END: Final = re.compile(r"(?<=[.;]) ")
# A value, which goes on into no other sentence.
_INSIDE: Final = r"(?:(?!\. ).)+?"


class _Text:
    """A text with places: how a filled-in one looks, and the texts of one thing and of many."""

    def __init__(self, text: str, one: str = "", many: str = "") -> None:
        self.text, self.one, self.many = text, one, many
        literals = _PLACE.split(text)[::2]
        self.longest = max(literals, key=len)
        self.words = sum(len(_WORD.findall(literal)) for literal in literals)
        # A whole sentence says more than its words: "Removed: {things}."
        self.words += literals[0][:1].isupper() and text.endswith(".")
        seen: set[str] = set()
        self._pattern = re.compile("".join(self._parts(text, seen)), re.DOTALL)

    def values_in(self, said: str) -> Mapping[str, str] | None:
        """What stands in the places of a filled-in text; None where it is another one."""
        if self.longest not in said:
            return None
        found = self._pattern.fullmatch(said)
        return found.groupdict() if found else None

    @staticmethod
    def _parts(text: str, seen: set[str]) -> Iterator[str]:
        for at, part in enumerate(_PLACE.split(text)):
            if at % 2 == 0:
                yield re.escape(part)
            elif part in seen:
                yield f"(?P={part})"
            else:
                seen.add(part)
                yield f"(?P<{part}>{_inside(part)})"


def _inside(name: str) -> str:
    """How a value looks in the place of this name."""
    if name == "count":
        return "[0-9,]+"
    if name == "unit":
        return r"\S+"
    if _DATED.fullmatch(name):
        return "[0-9].{0,19}?"
    return rf"{MINUS}?[0-9,]+(?:\.[0-9]+)?%?" if _MEASURED.fullmatch(name) else _INSIDE


@lru_cache(maxsize=4096)
def found_again(said: str) -> Sentence | None:
    """The sentence that this English text is; None where it is none of the catalogues' texts."""
    if said in _whole():
        return sentence(said)
    for text in _with_places():
        values = text.values_in(said)
        if values is not None:
            return _filled(text, values)
    for text in _frames():
        if (values := text.values_in(said)) is None:
            continue
        framed = _filled(text, values)
        are_said = [isinstance(value, Sentence) for value in framed.values.values()]
        if all(are_said) or (any(are_said) and _HEADING.fullmatch(text.text)):
            return framed
    return None


def sentences_in(said: str) -> Iterator[str]:
    """The sentences of a text one after the other, each as long as the catalogues know one."""
    parts = _END.split(said)
    while parts:
        most = next((n for n in range(len(parts), 1, -1) if found_again(" ".join(parts[:n]))), 1)
        yield " ".join(parts[:most])
        parts = parts[most:]


def _filled(text: _Text, values: Mapping[str, str]) -> Sentence:
    read_again = {name: _value(name, value) for name, value in values.items()}
    if not text.many:
        return sentence(text.text, **read_again)
    number = int(values["count"].replace(",", "")) if "count" in values else 1
    read_again.pop("count", None)
    return nsentence(text.one, text.many, number, **read_again)


def _value(name: str, text: str) -> object:
    """A value as it was filled in: a day, a number, another sentence, or a text."""
    if (plain := _day_or_number(name, text)) is not None:
        return plain
    if name == "registers":
        return joined_by_and(text.split(" and "))
    if name == "month" and text in month_name:
        return Month(list(month_name).index(text), full=True)
    # One word may be somebody's name.
    if " " not in text:
        return text
    if (found := found_again(text)) is not None:
        return found
    parts = [found_again(part) for part in text.split(", ")]
    return joined(parts) if all(parts) else text


def _day_or_number(name: str, text: str) -> date | int | Decimal | str | None:
    if _DAY.fullmatch(text):
        return _day(text)
    if _GROUPED.fullmatch(text):
        return int(text.replace(",", ""))
    if _MEASURED.fullmatch(name) and _NUMBER.fullmatch(text):
        return Decimal(text.replace(",", "").replace(MINUS, "-"))
    return None


def _day(text: str) -> date | str:
    try:
        return datetime.strptime(text, "%d %b %Y").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return text


@cache
def _texts() -> tuple[_Text, ...]:
    """The texts of the source: those that any catalogue translates."""
    any_other = next(tag for tag in OFFERED if tag != ENGLISH)
    ids = [message.id for message in read(any_other) if message.id and not message.context]
    made: list[_Text] = []
    for of in ids:
        one, many = (of, "") if isinstance(of, str) else (of[0], of[1])
        made.append(_Text(one, one, many))
        if many:
            made.append(_Text(many, one, many))
    return tuple(made)


@cache
def _whole() -> frozenset[str]:
    return frozenset(of.text for of in _texts() if not of.many and not _PLACE.search(of.text))


@cache
def _with_places() -> tuple[_Text, ...]:
    """Those with the most words of their own first; that of a count needs but one."""
    found = [
        of
        for of in _texts()
        if _PLACE.search(of.text) and of.words >= (1 if "{count}" in of.text else _FEWEST_WORDS)
    ]
    return tuple(sorted(found, key=lambda of: -len(_PLACE.sub("", of.text))))


@cache
def _frames() -> tuple[_Text, ...]:
    """Those with one word of their own, which count where other sentences stand in their places."""
    return tuple(
        of
        for of in _texts()
        if of.words == 1 and _PLACE.search(of.text) and "{count}" not in of.text
    )
