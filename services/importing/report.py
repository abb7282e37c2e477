"""What an import did, or everything that is wrong with its file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.languages.sentence import Sentence, joined, nsentence, sentence
from services.records.imports import Difference

WhatToImport = Literal[
    "agreements",
    "balances",
    "bank_statements",
    "customers",
    "intervals",
    "meters",
    "past_payments",
    "readings",
    "service_points",
    "supplies",
    "tariffs",
    "transformers",
]

# What a file leaves open and a person can answer: its decimal sign, which of day and month comes
# first, whether what looks like a known identifier is another one, whether another bank account
# is the utility's too, and which meter a file is of.
Question = Literal["decimal", "dates", "similar", "account", "meter"]


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
        return str(self.said)

    @property
    def said(self) -> str:
        """Where it is and what is wrong, as one sentence."""
        where: list[str] = []
        if self.row is not None:
            where.append(sentence("row {row}", row=str(self.row)))
        where += [self.column] if self.column else []
        if not where:
            return self.message
        return sentence("{place}: {message}", place=joined(where), message=self.message)


RowState = Literal["new", "changed", "unchanged"]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """How an import came out, or would; with errors found beforehand nothing was written.

    `asks` are questions whose answer would clear some of the errors. Of a dry run, `differences`
    are the first fields that would change, and `states` what would become of the first rows, where
    a row is about one customer, meter or transformer.
    """

    errors: tuple[ImportProblem, ...] = ()
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    ignored_columns: tuple[str, ...] = ()
    remarks: tuple[ImportProblem, ...] = ()
    asks: frozenset[Question] = frozenset()
    dry_run: bool = False
    differences: tuple[Difference, ...] = ()
    states: Mapping[int, RowState] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True when everything in the file is now in the database, or could be after a dry run."""
        return not self.errors

    @property
    def summary(self) -> str:
        """One or two sentences for the person who imports."""
        counts = sentence(
            "{added} added, {changed} changed, {unchanged} unchanged.",
            added=str(self.added),
            changed=str(self.changed),
            unchanged=str(self.unchanged),
        )
        if self.ok and self.dry_run:
            return sentence("Nothing was written. An import would leave {counts}", counts=counts)
        if self.ok:
            return counts
        if self.added or self.changed:
            # Only when somebody else changes the same rows between the check and the writing.
            return nsentence(
                "{count} problem came up while writing: {counts} Correct them and import the file "
                "again.",
                "{count} problems came up while writing: {counts} Correct them and import the "
                "file again.",
                len(self.errors),
                counts=counts,
            )
        return nsentence(
            "{count} problem, nothing was imported. Correct the file and import it again.",
            "{count} problems, nothing was imported. Correct the file and import it again.",
            len(self.errors),
        )


def moment_in_words(at: datetime) -> Sentence:
    """A moment as it stands in a file's own time: 01 Mar 2026, 10:30."""
    return sentence("{day}, {clock}", day=at.date(), clock=f"{at:%H:%M}")


def in_order(problems: list[ImportProblem]) -> tuple[ImportProblem, ...]:
    """Problems of the file first, then by row."""
    return tuple(sorted(problems, key=lambda p: (p.row is not None, p.row or 0)))
