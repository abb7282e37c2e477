"""What an import did, or everything that is wrong with its file."""

from dataclasses import dataclass
from typing import Literal

from services.quantities.counting import count

WhatToImport = Literal[
    "customers", "intervals", "meters", "readings", "supplies", "tariffs", "transformers"
]


@dataclass(frozen=True, slots=True)
class ImportProblem:
    """One thing that is wrong: `row` as a spreadsheet numbers it, None for the file as a whole.

    In a tariff file `row` is the position in the list and `column` the path within the tariff. A
    remark has the same form: what an imported rate has and the tariff made of it has not.
    """

    row: int | None
    column: str
    message: str

    def __str__(self) -> str:
        where = [f"row {self.row}"] if self.row is not None else []
        where += [self.column] if self.column else []
        return f"{', '.join(where)}: {self.message}" if where else self.message


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How an import came out; with errors found beforehand nothing was written."""

    errors: tuple[ImportProblem, ...] = ()
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    ignored_columns: tuple[str, ...] = ()
    remarks: tuple[ImportProblem, ...] = ()

    @property
    def ok(self) -> bool:
        """True when everything in the file is now in the database."""
        return not self.errors

    @property
    def summary(self) -> str:
        """One or two sentences for the person who imports."""
        counts = f"{self.added} added, {self.changed} changed, {self.unchanged} unchanged."
        if self.ok:
            return counts
        wrong = count(len(self.errors), "problem")
        if self.added or self.changed:
            # Only when somebody else changes the same rows between the check and the writing.
            return (
                f"{wrong} came up while writing: {counts} Correct them and import the file again."
            )
        return f"{wrong}, nothing was imported. Correct the file and import it again."


def in_order(problems: list[ImportProblem]) -> tuple[ImportProblem, ...]:
    """Problems of the file first, then by row."""
    return tuple(sorted(problems, key=lambda p: (p.row is not None, p.row or 0)))
