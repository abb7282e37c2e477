"""Imports: the whole file is checked before anything of it is written, then written in chunks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby
from typing import TypeVar
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.importing.chunks import chunks_of
from services.importing.dates import DateOrder
from services.importing.grid_rows import (
    name_feeders_with_two_names,
    name_overlaps,
    supply_row,
    transformer_row,
)
from services.importing.interval_rows import IntervalFile
from services.importing.kinds import COLUMNS_OF, TableKind
from services.importing.look_alikes import Kind, LookAlikes, unknown
from services.importing.reads import FileRead, Judged, MeterHistory, by_meter, file_read
from services.importing.report import ImportProblem, ImportReport, WhatToImport, in_order
from services.importing.rows import channels_row, customer_row, meter_row
from services.importing.source import Source, UnreadableFile
from services.importing.table import Table, read_table
from services.importing.tariff_files import tariff_rows
from services.importing.writing import Counts, Progress, Row, Writer, say_nothing
from services.quantities.written_numbers import DecimalSign
from services.records.readings import ReadingSource
from services.records.tariffs import TariffVersion
from services.records.use_limits import DEFAULT_DAILY_WH

Item = TypeVar("Item")

CHUNK_ROWS = 5000
METERS_AT_ONCE = 200
KEPT_ROWS = 20_000
DAYS_AT_ONCE = 1000
# What is tried and undone leaves dead rows behind, so that each further call takes longer.
METERS_TRIED_AT_ONCE = 1000
_ONLY_FOR_TARIFFS = "A date from which it holds goes with tariffs only."


@dataclass(frozen=True, slots=True)
class Importer:
    """Brings files in; a path, bytes (an upload) or text. Repeating an import changes nothing.

    `decimal` says which sign of the files' numbers is the decimal one, `date_order` which of day
    and month comes first, where the files do not show it. `headings` are said of this file alone,
    by heading_key, before those that are remembered.
    With `allow_similar` a new identifier may look like a known one, such as 123 like 00123.
    `unknown_daily_wh` is the most Wh a day of a meter of which nothing is known yet,
    `default_language` that of new customers for whom a file names none. With `dry_run` nothing is
    written, and the report says what would be.
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
    unknown_daily_wh: int = DEFAULT_DAILY_WH
    default_language: str = "en"
    dry_run: bool = False
    progress: Progress = say_nothing

    @property
    def _look_alikes(self) -> LookAlikes:
        return LookAlikes(self.database, ask=not self.allow_similar)

    def run(
        self,
        what: WhatToImport,
        source: Source,
        *,
        actor: str,
        now: datetime,
        effective_from: date | None = None,
    ) -> ImportReport:
        """Import a file of this kind; `now` is in UTC, `effective_from` for tariffs of URDB."""
        if what == "tariffs":
            return self.tariffs(source, actor=actor, now=now, effective_from=effective_from)
        if effective_from is not None:
            return ImportReport(errors=(ImportProblem(None, "", _ONLY_FOR_TARIFFS),))
        importers: Mapping[WhatToImport, Callable[..., ImportReport]] = {
            "customers": self.customers,
            "intervals": self.intervals,
            "meters": self.meters,
            "readings": self.readings,
            "supplies": self.supplies,
            "transformers": self.transformers,
        }
        return importers[what](source, actor=actor, now=now)

    def customers(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Add customers, or update the contact details of known account numbers."""
        try:
            table = self._table("customers", source)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        rows, channels = [], []
        for cells in table.rows():
            rows.append(customer_row(cells))
            channels.append(channels_row(cells, zone=self.zone, now=now))
        _name_duplicates(rows, "account_no", table.problems)
        self._name_similar(table, rows, kind="customers", column="account_no")
        chunks = list(chunks_of(rows, self.chunk_rows))
        report = self._check_and_store("customers", chunks, actor, table)
        if report.ok and not self.dry_run:
            for chunk in chunks_of([row for row in channels if row], self.chunk_rows):
                self.database.set_customer_channels(actor=actor, rows=chunk)
        return report

    def meters(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Connect meters to known customers and tariffs, each with its opening read.

        Of a meter that is connected already, the transformer may be set or changed.
        """
        try:
            table = self._table("meters", source)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        rows = [meter_row(cells, zone=self.zone, now=now) for cells in table.rows()]
        _name_duplicates(rows, "serial", table.problems)
        self._name_similar(table, rows, kind="meters", column="serial")
        self._look_alikes.name_unknown(
            rows, kind="customers", column="account_no", problems=table.problems
        )
        # An account's meters together: their currencies are compared.
        size = min(self.chunk_rows, METERS_TRIED_AT_ONCE) if self.dry_run else self.chunk_rows
        chunks = list(_chunks_by("account_no", rows, size))
        return self._check_and_store("meters", chunks, actor, table)

    def transformers(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Add transformers with their feeders, or update those with known codes."""
        del now  # Nothing of a transformer has a date.
        try:
            table = self._table("transformers", source)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        rows = [transformer_row(cells) for cells in table.rows()]
        _name_duplicates(rows, "code", table.problems)
        self._name_similar(table, rows, kind="transformers", column="code")
        name_feeders_with_two_names(rows, table.problems)
        chunks = list(chunks_of(rows, self.chunk_rows))
        return self._check_and_store("transformers", chunks, actor, table)

    def supplies(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Add the energy that went into transformers; a stored value changes only by a correction.

        A row that says `correction` replaces the stored period that it overlaps.
        """
        try:
            table = self._table("supplies", source)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        rows = [supply_row(cells, zone=self.zone, now=now) for cells in table.rows()]
        name_overlaps(rows, table.problems)
        self._look_alikes.name_unknown(
            rows, kind="transformers", column="transformer_code", problems=table.problems
        )
        # A transformer's periods together: where one moves, the next may follow.
        chunks = list(_chunks_by("transformer_code", rows, self.chunk_rows))
        return self._check_and_store("supplies", chunks, actor, table)

    def intervals(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Keep interval series of known meters, whole local days; other values are a new version.

        The report counts days.
        """
        try:
            table = self._table("intervals", source)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        file = IntervalFile(zone=self.zone, now=now, problems=table.problems)
        for cells in table.rows():
            file.add(cells)
        rows = file.rows()
        self._look_alikes.name_unknown(
            rows, kind="meters", column="meter_serial", problems=table.problems
        )
        chunks = list(chunks_of(rows, min(self.chunk_rows, DAYS_AT_ONCE)))
        return self._check_and_store("intervals", chunks, actor, table)

    def tariffs(
        self, source: Source, *, actor: str, now: datetime, effective_from: date | None = None
    ) -> ImportReport:
        """Add tariffs, or new versions of them, from JSON: the project's own, or rates of URDB.

        Rates of URDB hold from `effective_from`, or from their own start date.
        """
        del now  # A tariff may begin in the past or in the future.
        problems: list[ImportProblem] = []
        remarks: list[ImportProblem] = []
        try:
            rows = tariff_rows(source, problems, remarks=remarks, effective_from=effective_from)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        chunks = list(chunks_of(rows, self.chunk_rows))
        counts = self._writer(actor).check_and_write("tariffs", chunks, problems)
        return self._report(counts, problems, remarks=remarks)

    def readings(
        self, source: Source, *, actor: str, now: datetime, as_source: ReadingSource = "imported"
    ) -> ImportReport:
        """Store reads, judged by the rules in order of time; they are not billed at once.

        Those that fail a rule are kept for review. A read of the same meter, local date and value
        as a stored one is left as it is.
        """
        try:
            table = self._table("readings", source)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        parsed = (file_read(cells, zone=self.zone, now=now) for cells in table.rows())
        grouped = by_meter((read for read in parsed if read), table.problems)
        batches = list(chunks_of(grouped.items(), METERS_AT_ONCE))
        # Judged rows are many times larger than the file's: of a large file they are made twice.
        keep = sum(map(len, grouped.values())) <= KEPT_ROWS
        kept: list[Judged] = []
        for batch in batches:
            judged = self._judge(batch, as_source)
            table.problems.extend(judged.problems)
            kept += [judged] if keep else []
        if table.problems:
            return self._report_of(table, Counts())
        all_judged = kept if keep else (self._judge(batch, as_source) for batch in batches)
        return self._store_reads(all_judged, actor, table)

    def _judge(
        self, batch: Sequence[tuple[str, list[FileRead]]], as_source: ReadingSource
    ) -> Judged:
        meters = self.database.meter_reads(
            serials=[serial for serial, _ in batch], every_status=True
        )
        # Only further registers are compared with what the tariff says of them.
        versions = self._tariffs() if any(meter.registers for meter in meters) else {}
        histories = {
            meter.serial: MeterHistory.of(
                meter,
                versions=versions.get(meter.tariff_id or "", ()),
                unknown_daily_wh=self.unknown_daily_wh,
            )
            for meter in meters
        }
        judged = Judged()
        unknown_serials = [serial for serial, _ in batch if serial not in histories]
        meant = self._look_alikes.meant_by("meters", unknown_serials) if unknown_serials else {}
        for serial, reads in batch:
            if serial in histories:
                histories[serial].judge(reads, source=as_source, into=judged)
            else:
                why = unknown("meters", serial, meant.get(serial))
                judged.problems.extend(ImportProblem(r.row, "meter_serial", why) for r in reads)
        return judged

    def _tariffs(self) -> dict[str, list[TariffVersion]]:
        by_tariff: dict[str, list[TariffVersion]] = {}
        for version in self.database.tariff_versions():
            by_tariff.setdefault(version.tariff_id, []).append(version)
        return by_tariff

    def _store_reads(self, all_judged: Iterable[Judged], actor: str, table: Table) -> ImportReport:
        counts, writer = Counts(), self._writer(actor)
        for judged in all_judged:
            counts.unchanged += judged.unchanged
            if refused := writer.write_reads(chunks_of(judged.rows, self.chunk_rows), counts):
                table.problems.append(ImportProblem(None, "", refused))
                break
        return self._report_of(table, counts)

    def _table(self, kind: TableKind, source: Source) -> Table:
        """The rows of a file, with the headings that people said what they mean."""
        columns = COLUMNS_OF[kind]
        remembered = self.database.import_headings(kind=kind)
        said = {heading.heading_key: heading.field for heading in remembered}
        return read_table(
            source,
            required=columns.required,
            optional=columns.optional,
            prefix=columns.prefix,
            numbers=columns.numbers,
            dates=columns.dates,
            decimal=self.decimal,
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


def _name_duplicates(rows: Sequence[Row], column: str, problems: list[ImportProblem]) -> None:
    first: dict[str, int] = {}
    for row in rows:
        value, number = row[column], row["row"]
        if value and first.setdefault(value, number) != number:
            why = f"{value} stands in row {first[value]} already: keep one of the two."
            problems.append(ImportProblem(number, column, why))


def _chunks_by(column: str, rows: Sequence[Row], size: int) -> Iterator[list[Row]]:
    """Chunks of about `size`, rows with the same value of a column together."""
    chunk: list[Row] = []
    for _, group in groupby(sorted(rows, key=lambda row: str(row[column])), lambda r: r[column]):
        chunk += group
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
