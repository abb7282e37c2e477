"""Writing checked rows to the database, or looking at what writing them would do."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.database.service import DatabaseService
from services.database.transport import DatabaseRefused
from services.importing.report import ImportProblem, RowState, WhatToImport
from services.languages.sentence import N_
from services.records.imports import Difference, ImportAnswer, ImportPreview

Row = dict[str, Any]
# How many rows are done, of how many, and what is done with them.
Progress = Callable[[int, int, str], None]

MOST_DIFFERENCES: Final = 500
ROWS_WITH_A_STATE: Final = 100
# A row of these is about one thing, which this column names.
_KEY_OF: Final[Mapping[WhatToImport, str]] = {
    "customers": "account_no",
    "meters": "serial",
    "service_points": "code",
    "transformers": "code",
}


def say_nothing(_done: int, _of: int, _what: str) -> None:
    """Progress that nobody watches."""


@dataclass
class Counts:
    """What became of rows so far, or would."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    differences: list[Difference] = field(default_factory=list)
    states: dict[int, RowState] = field(default_factory=dict)

    def add(self, answer: ImportAnswer) -> None:
        """Count a part that was written, or would be."""
        self.added += answer.added
        self.changed += answer.changed
        self.unchanged += answer.unchanged

    def show(self, preview: ImportPreview, rows: Sequence[Row], key: str | None) -> None:
        """Keep what is shown of a part that would be written."""
        room = MOST_DIFFERENCES - len(self.differences)
        self.differences += preview.differences[:room]
        if key is None:
            return
        new, changed = set(preview.new_names), {found.name for found in preview.differences}
        for row in rows:
            if len(self.states) >= ROWS_WITH_A_STATE:
                return
            name = row[key]
            known: RowState = "changed" if name in changed else "unchanged"
            self.states[row["row"]] = "new" if name in new else known


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes rows in parts, each one transaction, once all parts were checked; or only looks.

    Raises DatabaseError when the database fails; then the same rows are written again.
    """

    database: DatabaseService
    actor: str
    default_language: str = "en"
    outbox: Mapping[str, Any] | None = None
    dry_run: bool = False
    progress: Progress = say_nothing

    def check_and_write(
        self,
        what: WhatToImport,
        parts: Iterable[Sequence[Row]],
        problems: list[ImportProblem],
        *,
        of: int | None = None,
    ) -> Counts:
        """What came of the rows; with `problems`, which may become more, nothing is written.

        `parts` are walked through up to three times; `of` is how many rows they have in all, where
        counting them would take a walk.
        """
        counts = Counts()
        of = sum(map(len, parts)) if of is None else of
        if not problems:
            self._walk(what, parts, problems, Counts() if not self.dry_run else counts, of=of)
        if not problems and not self.dry_run:
            self._walk(what, parts, problems, counts, of=of, write=True)
        return counts

    def check(
        self, what: WhatToImport, parts: Iterable[Sequence[Row]], problems: list[ImportProblem]
    ) -> None:
        """Add all that is wrong with the rows to `problems`; nothing is written."""
        self._walk(what, parts, problems, Counts(), of=0)

    def write_reads(self, parts: Iterable[Sequence[Row]], counts: Counts) -> str:
        """Store judged reads; the reason where the database refuses some, else nothing."""
        for rows in parts:
            try:
                counts.add(self._reads(rows))
            except DatabaseRefused as error:
                return error.message
            self.progress(counts.added + counts.unchanged, 0, N_("Written"))
        return ""

    def _walk(
        self,
        what: WhatToImport,
        parts: Iterable[Sequence[Row]],
        problems: list[ImportProblem],
        counts: Counts,
        *,
        of: int,
        write: bool = False,
    ) -> None:
        """Check all parts, so that everything wrong is named, or write up to a wrong one."""
        done = 0
        for rows in parts:
            answer = self._answer(what, rows, write=write)
            problems += [ImportProblem(e.row, e.column, e.message) for e in answer.errors]
            if problems and write:
                return
            counts.add(answer)
            if isinstance(answer, ImportPreview):
                counts.show(answer, rows, _KEY_OF.get(what))
            done += len(rows)
            self.progress(done, of, N_("Written") if write else N_("Checked"))

    def _answer(self, what: WhatToImport, rows: Sequence[Row], *, write: bool) -> ImportAnswer:
        if self.dry_run:
            return self._preview(what, rows)
        language = self.default_language if what == "customers" else None
        return self.database.import_rows(
            what=what,
            actor=self.actor,
            rows=rows,
            dry_run=not write,
            default_language=language,
            outbox=self.outbox,
        )

    def _reads(self, rows: Sequence[Row]) -> ImportAnswer:
        if self.dry_run:
            return self._preview("readings", rows)
        return self.database.import_readings(actor=self.actor, rows=rows)

    def _preview(self, what: WhatToImport, rows: Sequence[Row]) -> ImportPreview:
        return self.database.preview_import(
            what=what,
            actor=self.actor,
            rows=rows,
            most=MOST_DIFFERENCES,
            default_language=self.default_language,
        )
