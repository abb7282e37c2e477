"""How a file writes numbers: which sign is the decimal one, decided once for the whole file.

Spreadsheets write 1117.5 as 1117,5 in much of the world and put semicolons between the cells, and
group thousands with the other sign. In such a file 1.117 may be either number, so it is taken only
where other cells, or the person who imports, say which sign is the decimal one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

DecimalSign = Literal["point", "comma"]

_SIGN: Final[dict[DecimalSign, str]] = {"point": ".", "comma": ","}
_OTHER: Final[dict[DecimalSign, DecimalSign]] = {"point": "comma", "comma": "point"}
# No-break and thin spaces group thousands in French, Swedish and others.
_SPACES: Final = re.compile(r"(?<=[0-9])[ \u00a0\u2009\u202f](?=[0-9]{3}(?![0-9]))")
_AMBIGUOUS: Final = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_NUMBER: Final = re.compile(r"[+-]?[0-9.,]+")


class AmbiguousNumber(ValueError):
    """A number that may be two; the message says how to say which."""


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """The decimal sign of a file; without one each number must be clear by itself."""

    decimal: DecimalSign | None = None

    @classmethod
    def of_cells(cls, cells: Iterable[str]) -> "NumberStyle":
        """The style that the cells of a file show. Raises AmbiguousNumber where they disagree."""
        seen: dict[DecimalSign, str] = {}
        for text in cells:
            if (sign := _shown_by(text)) is not None:
                seen.setdefault(sign, text)
            if len(seen) == 2:
                raise AmbiguousNumber(
                    f"Some numbers have a decimal point ({seen['point'][:20]}), others a decimal "
                    f"comma ({seen['comma'][:20]}). Write all of them in one way."
                )
        return cls(next(iter(seen), None))

    def plain(self, text: str) -> str:
        """The number with a decimal point and no grouping; other texts come back as they are.

        Raises AmbiguousNumber.
        """
        joined = _SPACES.sub("", text)
        if not _NUMBER.fullmatch(joined):
            return text
        if self.decimal is None:
            if _AMBIGUOUS.fullmatch(joined):
                raise AmbiguousNumber(_which(joined))
            return joined
        sign, group = _SIGN[self.decimal], _SIGN[_OTHER[self.decimal]]
        grouped = rf"[+-]?[0-9]{{1,3}}(\{group}[0-9]{{3}})+(\{sign}[0-9]*)?"
        if re.fullmatch(grouped, joined):
            joined = joined.replace(group, "")
        elif group in joined:
            raise AmbiguousNumber(
                f"{text[:20]} is no number with a decimal {self.decimal}, as the file has it."
            )
        return joined.replace(sign, ".")


def _shown_by(text: str) -> DecimalSign | None:
    """Which sign must be the decimal one in this number, if it is certain."""
    joined = _SPACES.sub("", text)
    points, commas = joined.count("."), joined.count(",")
    if not _NUMBER.fullmatch(joined) or not points + commas:
        return None
    if points and commas:
        return "comma" if joined.rindex(",") > joined.rindex(".") else "point"
    if points + commas > 1:
        # Several of one sign group thousands.
        return "comma" if points else "point"
    if _AMBIGUOUS.fullmatch(joined):
        return None
    return "point" if points else "comma"


def _which(text: str) -> str:
    whole = re.sub(r"[.,]", "", text)
    return (
        f"{text} may be {whole} or {text.replace(',', '.')}: nothing in the file tells. Run this "
        "again with --decimal point or --decimal comma, whichever sign is the decimal one."
    )
