"""Imports: the whole file is checked before anything of it is written, then written in chunks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.database.transport import DatabaseRefused
from services.importing.chunks import chunks_of
from services.importing.grid_rows import (
    SUPPLY_COLUMNS,
    SUPPLY_NUMBERS,
    SUPPLY_OPTIONS,
    TRANSFORMER_COLUMNS,
    TRANSFORMER_OPTIONS,
    name_feeders_with_two_names,
    name_overlaps,
    supply_row,
    transformer_row,
)
from services.importing.interval_rows import (
    INTERVAL_COLUMNS,
    INTERVAL_NUMBERS,
    INTERVAL_OPTIONS,
    IntervalFile,
)
from services.importing.look_alikes import LookAlikes, unknown
from services.importing.reads import (
    READING_COLUMNS,
    READING_NUMBERS,
    REGISTER_PREFIX,
    FileRead,
    Judged,
    MeterHistory,
    by_meter,
    file_read,
)
from services.importing.report import ImportProblem, ImportReport, WhatToImport, in_order
from services.importing.rows import (
    CUSTOMER_COLUMNS,
    CUSTOMER_OPTIONS,
    METER_COLUMNS,
    METER_NUMBERS,
    METER_OPTIONS,
    channels_row,
    customer_row,
    meter_row,
)
from services.importing.source import Source, UnreadableFile
from services.importing.table import read_table
from services.importing.tariff_files import tariff_rows
from services.quantities.written_numbers import DecimalSign
from services.records.imports import ImportAnswer
from services.records.readings import ReadingSource
from services.records.tariffs import TariffVersion
from services.records.use_limits import DEFAULT_DAILY_WH

Item = TypeVar("Item")
Row = dict[str, Any]

CHUNK_ROWS = 5000
METERS_AT_ONCE = 200
KEPT_ROWS = 20_000
DAYS_AT_ONCE = 1000
_ONLY_FOR_TARIFFS = "A date from which it holds goes with tariffs only."


@dataclass(frozen=True, slots=True)
class Importer:
    """Brings files in; a path, bytes (an upload) or text. Repeating an import changes nothing.

    `decimal` says which sign of the files' numbers is the decimal one, where they do not show it.
    With `allow_similar` a new identifier may look like a known one, such as 123 like 00123.
    `unknown_daily_wh` is the most Wh a day of a meter of which nothing is known yet,
    `default_language` that of new customers for whom a file names none.
    Each method answers a report: with errors found in the file nothing was written. Each raises
    DatabaseError when the database fails; then the same file is imported again.
    """

    database: DatabaseService
    zone: ZoneInfo
    chunk_rows: int = CHUNK_ROWS
    decimal: DecimalSign | None = None
    allow_similar: bool = False
    unknown_daily_wh: int = DEFAULT_DAILY_WH
    default_language: str = "en"

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
            table = read_table(source, required=CUSTOMER_COLUMNS, optional=CUSTOMER_OPTIONS)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        rows, channels = [], []
        for cells in table.rows():
            rows.append(customer_row(cells))
            channels.append(channels_row(cells, zone=self.zone, now=now))
        _name_duplicates(rows, "account_no", table.problems)
        self._look_alikes.name_new(
            rows, kind="customers", column="account_no", problems=table.problems
        )
        chunks = list(chunks_of(rows, self.chunk_rows))
        report = self._check_and_store("customers", chunks, actor, table.problems, table.ignored)
        if report.ok:
            for chunk in chunks_of([row for row in channels if row], self.chunk_rows):
                self.database.set_customer_channels(actor=actor, rows=chunk)
        return report

    def meters(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Connect meters to known customers and tariffs, each with its opening read.

        Of a meter that is connected already, the transformer may be set or changed.
        """
        try:
            table = read_table(
                source,
                required=METER_COLUMNS,
                optional=METER_OPTIONS,
                numbers=METER_NUMBERS,
                decimal=self.decimal,
            )
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        rows = [meter_row(cells, zone=self.zone, now=now) for cells in table.rows()]
        _name_duplicates(rows, "serial", table.problems)
        alike = self._look_alikes
        alike.name_new(rows, kind="meters", column="serial", problems=table.problems)
        alike.name_unknown(rows, kind="customers", column="account_no", problems=table.problems)
        # An account's meters together: their currencies are compared.
        chunks = list(_chunks_by("account_no", rows, self.chunk_rows))
        return self._check_and_store("meters", chunks, actor, table.problems, table.ignored)

    def transformers(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Add transformers with their feeders, or update those with known codes."""
        del now  # Nothing of a transformer has a date.
        try:
            table = read_table(source, required=TRANSFORMER_COLUMNS, optional=TRANSFORMER_OPTIONS)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        rows = [transformer_row(cells) for cells in table.rows()]
        _name_duplicates(rows, "code", table.problems)
        self._look_alikes.name_new(
            rows, kind="transformers", column="code", problems=table.problems
        )
        name_feeders_with_two_names(rows, table.problems)
        chunks = list(chunks_of(rows, self.chunk_rows))
        return self._check_and_store("transformers", chunks, actor, table.problems, table.ignored)

    def supplies(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Add the energy that went into transformers; a stored value changes only by a correction.

        A row that says `correction` replaces the stored period that it overlaps.
        """
        try:
            table = read_table(
                source,
                required=SUPPLY_COLUMNS,
                optional=SUPPLY_OPTIONS,
                numbers=SUPPLY_NUMBERS,
                decimal=self.decimal,
            )
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        rows = [supply_row(cells, zone=self.zone, now=now) for cells in table.rows()]
        name_overlaps(rows, table.problems)
        self._look_alikes.name_unknown(
            rows, kind="transformers", column="transformer_code", problems=table.problems
        )
        # A transformer's periods together: where one moves, the next may follow.
        chunks = list(_chunks_by("transformer_code", rows, self.chunk_rows))
        return self._check_and_store("supplies", chunks, actor, table.problems, table.ignored)

    def intervals(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Keep interval series of known meters, whole local days; other values are a new version.

        The report counts days.
        """
        try:
            table = read_table(
                source,
                required=INTERVAL_COLUMNS,
                optional=INTERVAL_OPTIONS,
                numbers=INTERVAL_NUMBERS,
                decimal=self.decimal,
            )
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
        return self._check_and_store("intervals", chunks, actor, table.problems, table.ignored)

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
        report = self._check_and_store("tariffs", chunks, actor, problems, ())
        return replace(report, remarks=tuple(remarks))

    def readings(
        self, source: Source, *, actor: str, now: datetime, as_source: ReadingSource = "imported"
    ) -> ImportReport:
        """Store reads, judged by the rules in order of time; they are not billed at once.

        Those that fail a rule are kept for review. A read of the same meter, local date and value
        as a stored one is left as it is.
        """
        try:
            table = read_table(
                source,
                required=READING_COLUMNS,
                prefix=REGISTER_PREFIX,
                numbers=READING_NUMBERS,
                decimal=self.decimal,
            )
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
            return ImportReport(errors=in_order(table.problems), ignored_columns=table.ignored)
        all_judged = kept if keep else (self._judge(batch, as_source) for batch in batches)
        return self._store_reads(all_judged, actor, table.ignored)

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

    def _store_reads(
        self, all_judged: Iterable[Judged], actor: str, ignored: tuple[str, ...]
    ) -> ImportReport:
        added = unchanged = 0
        for judged in all_judged:
            unchanged += judged.unchanged
            for chunk in chunks_of(judged.rows, self.chunk_rows):
                try:
                    answer = self.database.import_readings(actor=actor, rows=chunk)
                except DatabaseRefused as error:
                    problem = ImportProblem(None, "", error.message)
                    return ImportReport((problem,), added, 0, unchanged, ignored)
                added += answer.added
                unchanged += answer.unchanged
        return ImportReport((), added, 0, unchanged, ignored)

    def _put(
        self, what: WhatToImport, actor: str, rows: Sequence[Row], *, dry_run: bool
    ) -> ImportAnswer:
        language = self.default_language if what == "customers" else None
        return self.database.import_rows(
            what=what, actor=actor, rows=rows, dry_run=dry_run, default_language=language
        )

    def _check_and_store(
        self,
        what: WhatToImport,
        chunks: Sequence[Sequence[Row]],
        actor: str,
        problems: list[ImportProblem],
        ignored: tuple[str, ...],
    ) -> ImportReport:
        if not problems:
            for chunk in chunks:
                answer = self._put(what, actor, chunk, dry_run=True)
                problems += _problems_of(answer)
        if problems:
            return ImportReport(errors=in_order(problems), ignored_columns=ignored)
        added = changed = unchanged = 0
        for chunk in chunks:
            answer = self._put(what, actor, chunk, dry_run=False)
            problems += _problems_of(answer)
            if problems:
                break
            added, changed = added + answer.added, changed + answer.changed
            unchanged += answer.unchanged
        return ImportReport(
            errors=in_order(problems),
            added=added,
            changed=changed,
            unchanged=unchanged,
            ignored_columns=ignored,
        )


def _problems_of(answer: ImportAnswer) -> list[ImportProblem]:
    return [ImportProblem(e.row, e.column, e.message) for e in answer.errors]


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
