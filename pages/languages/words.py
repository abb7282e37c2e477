"""The language of this visit: `_("…")` says a text in it, `language()` writes numbers and dates."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from streamlit.runtime.scriptrunner import get_script_run_ctx

from services.languages.language import ENGLISH_LANGUAGE, Language

_SPOKEN: Final = "spoken-language"

K = TypeVar("K")
V = TypeVar("V")


def speak(chosen: Language) -> None:
    """From now on this visit is spoken to in a language, also where a part of a page runs alone."""
    run = get_script_run_ctx(suppress_warning=True)
    if run is not None:
        run.session_state[_SPOKEN] = chosen


def language() -> Language:
    """The language of this visit; English where nothing of a page runs, as in a download."""
    run = get_script_run_ctx(suppress_warning=True)
    if run is None or _SPOKEN not in run.session_state:
        return ENGLISH_LANGUAGE
    spoken = run.session_state[_SPOKEN]
    return spoken if isinstance(spoken, Language) else ENGLISH_LANGUAGE


def _(text: str, /, **values: object) -> str:
    """A text in the language of this visit, its places filled in."""
    spoken = language()
    return spoken.gettext(text, **spoken.isolated(values))


def ngettext(one: str, many: str, number: int, /, **values: object) -> str:
    """A text about a number of things, which stands in the place {count}."""
    return language().ngettext(one, many, number, **values)


def pgettext(context: str, text: str, /, **values: object) -> str:
    """A text that means something else in another context."""
    spoken = language()
    return spoken.pgettext(context, text, **spoken.isolated(values))


def say(said: object) -> str:
    """A sentence, or that of an error, in the language of this visit."""
    return language().say(said)


class Said(Mapping[K, V]):
    """A table of texts, marked N_, that answers each in the language of the visit that asks.

    Of a value of several parts the texts are said, and all else stays as it is.
    """

    def __init__(self, texts: Mapping[K, V]) -> None:
        self._texts = dict(texts)

    def __getitem__(self, key: K) -> V:
        return _said(self._texts[key], language())

    def said_in(self, spoken: Language, key: K) -> V:
        """The text of a key in a language, whatever the visit's is."""
        return _said(self._texts[key], spoken)

    def __iter__(self) -> Iterator[K]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _said(value: V, spoken: Language) -> V:
    if isinstance(value, str):
        return spoken.say(value)  # type: ignore[return-value]
    if isinstance(value, tuple):
        parts = (spoken.say(p) if isinstance(p, str) and p else p for p in value)
        return tuple(parts)  # type: ignore[return-value]
    return value
