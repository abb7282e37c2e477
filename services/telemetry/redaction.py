"""Takes out of a text what must not stand in a log: secrets, links, and data of persons."""

import re
from collections.abc import Iterable
from typing import Final

LONGEST: Final = 16_000
_SHORTEST_SECRET: Final = 6
_WORD: Final = 2_000

_NAMES: Final = "authorization|x-api-key|cookie|password|passwd|secret|token|ticket|api[_-]?key"
_PATTERNS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        # What Postgres and Pydantic repeat of a row or an input.
        (r"(?m)^\s*DETAIL:.*$", "DETAIL: …"),
        (r"Failing row contains \(.*\)", "Failing row contains (…)"),
        (r"\bKey \(([^)]*)\)=\(.*?\)", r"Key (\1)=(…)"),
        (r"input_value=.*?(, input_type|\]|$)", r"input_value=…\1"),
        # Keys and tokens, by the shapes that their makers give them.
        (r"\beyJ[\w-]{4,}(\.[\w-]*)*", "eyJ…"),
        (r"\bebk_[\w.-]{4,}", "ebk_…"),
        (r"\b([sr]k|pk)_(live|test)_\w+", r"\1_\2_…"),
        (r"\bwhsec_[\w+/=-]+", "whsec_…"),
        (r"\bsk-[\w-]{8,}", "sk-…"),
        (r"(?i)\bbearer\s+[\w.~+/=-]{6,}", "Bearer …"),
        (
            rf"(?i)\b({_NAMES})(['\"]?\s*[:=]\s*['\"]?)[^\s,;'\"&)}}\]]{{4,}}",
            r"\1\2…",
        ),
        # Of an address the host says enough: a path may be a secret, a query a person's data.
        (r"\b([a-z][a-z0-9+.-]{0,20}://)[^\s/@'\"]*@", r"\1…@"),
        (r"\b(https?://[^\s/?#'\"<>)]+)[/?#][^\s'\"<>)]+", r"\1/…"),
        (r"(/[\w./%~-]{1,300})\?[^\s'\"<>)]+", r"\1?…"),
        # Persons.
        (r"[\w.+%-]{1,64}@[\w-]{1,63}(\.[\w-]{1,63})+", "…@…"),
        (r"(?<![\w+])\+\d[\d ()./-]{6,}\d", "+…"),
    )
)


class Redactor:
    """Replaces secrets that are known by their value, and whatever has the shape of one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: one may contain another.
        known = sorted({s for s in secrets if len(s) >= _SHORTEST_SECRET}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """The text without them, and not longer than LONGEST."""
        if self._known is not None:
            text = self._known.sub("…", text)
        # Before the patterns: the longest text must not take them long.
        text = _shortened(text)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        return text


def _shortened(text: str) -> str:
    """A text without its middle if it is too long: the end of a traceback says what happened."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    begin, end = text[:half], text[-half:]
    # What was cut in two has no shape any more: the words at the cut go with the middle.
    return f"{begin[:-_WORD]} … {end[_WORD:]}"
