"""Imports: the whole file is checked before anything of it is written, then written in chunks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.database.transport import DatabaseRefused
from services.domain.records import ReadingSource
from services.importing.chunks import chunks_of
from services.importing.reads import (
    READING_COLUMNS,
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
    channels_row,
    customer_row,
    meter_row,
)
from services.importing.source import Source, UnreadableFile
from services.importing.table import read_table
from services.importing.tariff_files import tariff_rows

Item = TypeVar("Item")
Row = dict[str, Any]

CHUNK_ROWS = 5000
METERS_AT_ONCE = 200
KEPT_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Importer:
    """Brings files in; a path, bytes (an upload) or text. Repeating an import changes nothing.

    Each method answers a report: with errors found in the file nothing was written. Each raises
    DatabaseError when the database fails; then the same file is imported again.
    """

    database: DatabaseService
    zone: ZoneInfo
    chunk_rows: int = CHUNK_ROWS

    def run(self, what: WhatToImport, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Import a file of this kind; `now` is in UTC."""
        importers: Mapping[WhatToImport, Callable[..., ImportReport]] = {
            "customers": self.customers,
            "meters": self.meters,
            "readings": self.readings,
            "tariffs": self.tariffs,
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
        chunks = list(chunks_of(rows, self.chunk_rows))
        report = self._check_and_store("customers", chunks, actor, table.problems, table.ignored)
        if report.ok:
            for chunk in chunks_of([row for row in channels if row], self.chunk_rows):
                self.database.set_customer_channels(actor=actor, rows=chunk)
        return report

    def meters(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Connect meters to known customers and tariffs, each with its opening read."""
        try:
            table = read_table(source, required=METER_COLUMNS)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        rows = [meter_row(cells, zone=self.zone, now=now) for cells in table.rows()]
        _name_duplicates(rows, "serial", table.problems)
        chunks = list(_chunks_by_account(rows, self.chunk_rows))
        return self._check_and_store("meters", chunks, actor, table.problems, table.ignored)

    def tariffs(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Add tariffs, or new versions of them, from JSON."""
        del now  # A tariff may begin in the past or in the future.
        problems: list[ImportProblem] = []
        try:
            rows = tariff_rows(source, problems)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        chunks = list(chunks_of(rows, self.chunk_rows))
        return self._check_and_store("tariffs", chunks, actor, problems, ())

    def readings(
        self, source: Source, *, actor: str, now: datetime, as_source: ReadingSource = "imported"
    ) -> ImportReport:
        """Store reads, judged by the rules in order of time; they are not billed at once.

        Those that fail a rule are kept for review. A read of the same meter, local date and value
        as a stored one is left as it is.
        """
        try:
            table = read_table(source, required=READING_COLUMNS)
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
        histories = {meter["serial"]: MeterHistory.of(meter) for meter in meters}
        judged = Judged()
        for serial, reads in batch:
            if serial in histories:
                histories[serial].judge(reads, source=as_source, into=judged)
            else:
                why = f"No meter has the serial {serial}."
                judged.problems.extend(ImportProblem(r.row, "meter_serial", why) for r in reads)
        return judged

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
                added += int(answer["added"])
                unchanged += int(answer["unchanged"])
        return ImportReport((), added, 0, unchanged, ignored)

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
                answer = self.database.import_rows(what=what, actor=actor, rows=chunk, dry_run=True)
                problems += _problems_of(answer)
        if problems:
            return ImportReport(errors=in_order(problems), ignored_columns=ignored)
        counts = {"added": 0, "changed": 0, "unchanged": 0}
        for chunk in chunks:
            answer = self.database.import_rows(what=what, actor=actor, rows=chunk, dry_run=False)
            problems += _problems_of(answer)
            if problems:
                break
            counts = {name: count + int(answer[name]) for name, count in counts.items()}
        return ImportReport(in_order(problems), **counts, ignored_columns=ignored)


def _problems_of(answer: Mapping[str, Any]) -> list[ImportProblem]:
    return [ImportProblem(e["row"], e.get("column", ""), e["message"]) for e in answer["errors"]]


def _name_duplicates(rows: Sequence[Row], column: str, problems: list[ImportProblem]) -> None:
    first: dict[str, int] = {}
    for row in rows:
        value, number = row[column], row["row"]
        if value and first.setdefault(value, number) != number:
            why = f"{value} stands in row {first[value]} already: keep one of the two."
            problems.append(ImportProblem(number, column, why))


def _chunks_by_account(rows: Sequence[Row], size: int) -> Iterator[list[Row]]:
    """Chunks of about `size`, an account's meters together: their currencies are compared."""
    chunk: list[Row] = []
    in_order_of_account = sorted(rows, key=lambda row: str(row["account_no"]))
    for _, group in groupby(in_order_of_account, key=lambda row: row["account_no"]):
        chunk += group
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
