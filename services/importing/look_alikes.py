"""Identifiers that differ only by what a spreadsheet changes: 00123 and 123, AB-1 and ab-1.

What counts as alike is said by `private.identifier_key` in the database.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from services.database.service import DatabaseService
from services.importing.chunks import chunks_of
from services.importing.report import ImportProblem
from services.languages.sentence import N_, Sentence, joined, sentence
from services.records.imports import IdentifierKey

Kind = Literal["customers", "meters", "service_points", "transformers"]

_AT_ONCE: Final = 5000
_ONE: Final[Mapping[Kind, str]] = {
    "customers": N_("No customer has the account number {identifier}."),
    "meters": N_("No meter has the serial {identifier}."),
    "service_points": N_("No service point has the code {identifier}."),
    "transformers": N_("No transformer has the code {identifier}."),
}


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Asks the database which identifiers look alike; `ask` is off where a person has answered."""

    database: DatabaseService
    ask: bool = True

    def name_new(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        kind: Kind,
        column: str,
        problems: list[ImportProblem],
    ) -> None:
        """Report rows that would add what looks like a known one, or like another of the file."""
        if not self.ask:
            return
        row_of: dict[str, int] = {}
        for row in rows:
            row_of.setdefault(row[column], row["row"])
        row_of.pop("", None)
        first: dict[str, str] = {}
        for found in self._keys(kind, list(row_of)):
            here = first.setdefault(found.key, found.identifier)
            if found.look_alike is not None:
                other = sentence("{identifier}, which is known", identifier=found.look_alike)
            elif here != found.identifier and found.known is None:
                other = sentence(
                    "{identifier} in row {row}", identifier=here, row=str(row_of[here])
                )
            else:
                continue
            problems.append(
                ImportProblem(row_of[found.identifier], column, _question(found.identifier, other))
            )

    def name_unknown(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        kind: Kind,
        column: str,
        problems: list[ImportProblem],
    ) -> None:
        """Report rows that refer to what is not stored where something that looks like it is."""
        wanted = list(dict.fromkeys(row[column] for row in rows if row[column]))
        meant = {found.identifier: found.look_alike for found in self._keys(kind, wanted)}
        problems.extend(
            ImportProblem(row["row"], column, unknown(kind, row[column], other))
            for row in rows
            if (other := meant.get(row[column])) is not None
        )

    def meant_by(self, kind: Kind, identifiers: Sequence[str]) -> dict[str, str]:
        """Of identifiers that are not stored, those that look like them and are."""
        found = self._keys(kind, identifiers)
        return {one.identifier: one.look_alike for one in found if one.look_alike is not None}

    def _keys(self, kind: Kind, identifiers: Sequence[str]) -> Iterator[IdentifierKey]:
        for chunk in chunks_of(identifiers, _AT_ONCE):
            yield from self.database.identifier_keys(kind=kind, identifiers=chunk)


def unknown(kind: Kind, identifier: str, meant: str | None = None) -> Sentence:
    """That nothing has this identifier, and which one may be meant."""
    said = sentence(_ONE[kind], identifier=identifier)
    if not meant:
        return said
    return joined([said, sentence("Do you mean {identifier}?", identifier=meant)], " ")


def _question(identifier: str, other: str) -> Sentence:
    return sentence(
        "{identifier} looks like {other}: a spreadsheet may have changed it. If they are the same, "
        "write them the same way; if not, say so.",
        identifier=identifier,
        other=other,
    )
