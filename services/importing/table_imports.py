"""What every import of a table does: read it, check identifiers, write in parts, report."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.importing.bank.files import statement_table
from services.importing.dates import DateOrder
from services.importing.kinds import COLUMNS_OF, TableKind
from services.importing.look_alikes import Kind, LookAlikes
from services.importing.meter_files.nem13 import readings_table
from services.importing.report import ImportProblem, ImportReport, in_order
from services.importing.source import Source
from services.importing.table import Table, read_table
from services.importing.writing import Counts, Progress, Row, Writer, say_nothing
from services.languages.sentence import sentence
from services.quantities.written_numbers import DecimalSign
from services.records.use_limits import LimitBook

CHUNK_ROWS = 5000
# What is tried and undone leaves dead rows behind, so that each further call takes longer.
TRIED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class TableImports:
    """Brings files in; a path, bytes (an upload) or text. Repeating an import changes nothing.

    `decimal` says which sign of the files' numbers is the decimal one, `date_order` which of day
    and month comes first, where the files do not show it. `headings` are said of this file alone,
    by heading_key, before those that are remembered.
    With `allow_similar` a new identifier may look like a known one, such as 123 like 00123.
    `limit_book` is what readings are judged by beside the meters' own past, `default_language` that
    of new customers for whom a file names none. With `dry_run` nothing is written, and the report
    says what would be.
    Each method answers a report: with errors found in the file nothing was written. Each raises
    DatabaseError when the database fails; then the same file is imported again.
    """

    database: DatabaseService
    zone: ZoneInfo
    chunk_rows: int = CHUNK_ROWS
    decimal: DecimalSign | None = None
    date_order: DateOrder | None = None
    headings: Mapping[str, str] = field(default_factory=dict)
    allow_similar: bool = False
    limit_book: LimitBook = field(default_factory=LimitBook)
    default_language: str = "en"
    dry_run: bool = False
    progress: Progress = say_nothing

    @property
    def _follows(self) -> Mapping[str, Any] | None:
        """What bills owe whose balance an import changes."""
        return None

    @property
    def _look_alikes(self) -> LookAlikes:
        return LookAlikes(self.database, ask=not self.allow_similar)

    def _table(self, kind: TableKind, source: Source) -> Table:
        """The rows of a file, with the headings that people said what they mean."""
        columns = COLUMNS_OF[kind]
        if kind == "bank_statements":
            source = statement_table(source)
        decimal = self.decimal
        if kind == "readings" and (read := readings_table(source)) is not None:
            source, decimal = read, "point"
        remembered = self.database.import_headings(kind=kind)
        said = {heading.heading_key: heading.field for heading in remembered}
        return read_table(
            source,
            required=columns.required,
            optional=columns.optional,
            prefix=columns.prefix,
            numbers=columns.numbers,
            dates=columns.dates,
            decimal=decimal,
            date_order=self.date_order,
            said={**said, **self.headings},
        )

    def _name_similar(self, table: Table, rows: Sequence[Row], *, kind: Kind, column: str) -> None:
        known = len(table.problems)
        self._look_alikes.name_new(rows, kind=kind, column=column, problems=table.problems)
        if len(table.problems) > known:
            table.asks.add("similar")

    def _writer(self, actor: str) -> Writer:
        return Writer(
            self.database,
            actor,
            outbox=self._follows,
            default_language=self.default_language,
            dry_run=self.dry_run,
            progress=self.progress,
        )

    def _check_and_store(
        self, what: TableKind, chunks: Sequence[Sequence[Row]], actor: str, table: Table
    ) -> ImportReport:
        counts = self._writer(actor).check_and_write(what, chunks, table.problems)
        return self._report_of(table, counts)

    def _report_of(self, table: Table, counts: Counts) -> ImportReport:
        remarks = [ImportProblem(None, "", remark) for remark in table.remarks]
        report = self._report(counts, table.problems, remarks=remarks)
        return replace(report, ignored_columns=table.ignored, asks=frozenset(table.asks))

    def _report(
        self,
        counts: Counts,
        problems: list[ImportProblem],
        *,
        remarks: Sequence[ImportProblem],
    ) -> ImportReport:
        if problems and self.dry_run:
            counts = Counts()
        return ImportReport(
            errors=in_order(problems),
            added=counts.added,
            changed=counts.changed,
            unchanged=counts.unchanged,
            remarks=tuple(remarks),
            dry_run=self.dry_run,
            differences=tuple(counts.differences),
            states=counts.states,
        )


def name_duplicates(
    rows: Sequence[Row], column: str, problems: list[ImportProblem], *, shown: str = ""
) -> None:
    """Report rows whose value in a column stands in an earlier row already.

    `shown` is the column that people know it by, where it is another one.
    """
    first: dict[str, int] = {}
    for row in rows:
        value, number = row.get(column), row["row"]
        if value and first.setdefault(value, number) != number:
            name = row[shown] if shown else value
            why = sentence(
                "{name} stands in row {row} already: keep one of the two.",
                name=name,
                row=str(first[value]),
            )
            problems.append(ImportProblem(number, shown or column, why))


def chunks_by(column: str, rows: Sequence[Row], size: int) -> Iterator[list[Row]]:
    """Chunks of about `size`, rows with the same value of a column together."""
    chunk: list[Row] = []
    for _, group in groupby(sorted(rows, key=lambda row: str(row[column])), lambda r: r[column]):
        chunk += group
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
