"""How a file writes numbers: which sign is the decimal one, decided once for the whole file.

Spreadsheets write 1117.5 as 1117,5 in much of the world and put semicolons between the cells, and
group thousands with the other sign. In such a file 1.117 may be either number, so it is taken only
where other cells, or the person who imports, say which sign is the decimal one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from services.languages.sentence import N_, Sentence, sentence
from services.quantities.written_numbers import (
    AmbiguousNumber,
    DecimalSign,
    decimal_sign_of,
    in_style,
    is_ambiguous,
    is_number,
    joined,
)


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """The decimal sign of a file; without one each number must be clear by itself."""

    decimal: DecimalSign | None = None

    @classmethod
    def of_cells(cls, cells: Iterable[str]) -> "NumberStyle":
        """The style that the cells of a file show. Raises AmbiguousNumber where they disagree."""
        seen: dict[DecimalSign, str] = {}
        for text in cells:
            if (sign := decimal_sign_of(text)) is not None:
                seen.setdefault(sign, text)
            if len(seen) == 2:
                raise AmbiguousNumber(
                    sentence(
                        "Some numbers have a decimal point ({point}), others a decimal comma "
                        "({comma}). Write all of them in one way.",
                        point=seen["point"][:20],
                        comma=seen["comma"][:20],
                    )
                )
        return cls(next(iter(seen), None))

    def plain(self, text: str) -> str:
        """The number with a decimal point and no grouping; other texts come back as they are.

        Raises AmbiguousNumber.
        """
        number = joined(text)
        if not is_number(number):
            return text
        if self.decimal is None:
            if is_ambiguous(number):
                raise AmbiguousNumber(_which(number))
            return number
        plain = in_style(number, self.decimal)
        if plain is None:
            what = {"point": N_("point"), "comma": N_("comma")}[self.decimal]
            raise AmbiguousNumber(
                sentence(
                    "{typed} is no number with a decimal {sign}, as the file has it.",
                    typed=text[:20],
                    sign=sentence(what),
                )
            )
        return plain


def _which(text: str) -> Sentence:
    return sentence(
        "{typed} may be {first} or {second}: nothing in the file tells. Say which sign is the "
        "decimal one, point or comma.",
        typed=text,
        first=re.sub(r"[.,]", "", text),
        second=text.replace(",", "."),
    )
