"""Imports: the whole file is checked before anything of it is written, then written in chunks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from services.approvals.asking import ask_for_version
from services.database.errors import IllegalChange
from services.identity.auth import Principal
from services.importing.by_kind.grid_rows import (
    name_feeders_with_two_names,
    name_overlaps,
    supply_row,
    transformer_row,
)
from services.importing.chunks import chunks_of
from services.importing.look_alikes import unknown
from services.importing.money_imports import MoneyImports
from services.importing.reads import Judged, by_meter, file_read, judge
from services.importing.report import ImportProblem, ImportReport, WhatToImport
from services.importing.rows import channels_row, customer_row, meter_row
from services.importing.source import Source, UnreadableFile
from services.importing.table import Table
from services.importing.table_imports import TRIED_AT_ONCE, chunks_by, name_duplicates
from services.importing.tariff_files import tariff_rows
from services.importing.writing import Counts
from services.languages.sentence import N_, nsentence
from services.metering.peers import PeerUses
from services.readings.meter_history import FileRead, MeterHistory, by_day
from services.records.readings import ReadingSource
from services.records.tariffs import TariffVersion

# Each comes with a place, an installation, an agreement and a read: a call stays within seconds.
METERS_IN_A_CALL = 2000
METERS_AT_ONCE = 200
KEPT_ROWS = 20_000
_ONLY_FOR_TARIFFS = N_("A date from which it holds goes with tariffs only.")


@dataclass(frozen=True, slots=True)
class Importer(MoneyImports):
    """Brings files in, each kind by its method; see TableImports for what can be said of a file."""

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
            "agreements": self.agreements,
            "balances": self.balances,
            "bank_statements": self.bank_statements,
            "customers": self.customers,
            "intervals": self.intervals,
            "meters": self.meters,
            "past_payments": self.past_payments,
            "readings": self.readings,
            "service_points": self.service_points,
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
        name_duplicates(rows, "account_no", table.problems)
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
        name_duplicates(rows, "serial", table.problems)
        name_duplicates(rows, "service_point", table.problems)
        self._name_similar(table, rows, kind="meters", column="serial")
        self._look_alikes.name_unknown(
            rows, kind="customers", column="account_no", problems=table.problems
        )
        # An account's meters together: their currencies are compared.
        most = TRIED_AT_ONCE if self.dry_run else METERS_IN_A_CALL
        chunks = list(chunks_by("account_no", rows, min(self.chunk_rows, most)))
        return self._check_and_store("meters", chunks, actor, table)

    def transformers(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Add transformers with their feeders, or update those with known codes."""
        del now  # Nothing of a transformer has a date.
        try:
            table = self._table("transformers", source)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        rows = [transformer_row(cells) for cells in table.rows()]
        name_duplicates(rows, "code", table.problems)
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
        chunks = list(chunks_by("transformer_code", rows, self.chunk_rows))
        return self._check_and_store("supplies", chunks, actor, table)

    def tariffs(
        self, source: Source, *, actor: str, now: datetime, effective_from: date | None = None
    ) -> ImportReport:
        """Add tariffs, or new versions of them, from JSON: the project's own, or rates of URDB.

        Rates of URDB hold from `effective_from`, or from their own start date. Where a second
        person must approve tariffs, requests are stored instead, as a remark on each says.
        """
        del now  # A tariff may begin in the past or in the future.
        problems: list[ImportProblem] = []
        remarks: list[ImportProblem] = []
        try:
            rows = tariff_rows(source, problems, remarks=remarks, effective_from=effective_from)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        writer = self._writer(actor)
        if not self.dry_run and not problems:
            # Nobody is asked to approve what could not be added.
            writer.check("tariffs", chunks_of(rows, self.chunk_rows), problems)
        if not self.dry_run and not problems:
            rows = self._that_may_be_added(rows, actor, remarks)
        chunks = list(chunks_of(rows, self.chunk_rows))
        counts = writer.check_and_write("tariffs", chunks, problems)
        return self._report(counts, problems, remarks=remarks)

    def _that_may_be_added(
        self, rows: Sequence[dict[str, Any]], actor: str, remarks: list[ImportProblem]
    ) -> list[dict[str, Any]]:
        """The versions that need no second person; of the others requests are stored."""
        importer = Principal(actor, frozenset(), None, "token")
        may: list[dict[str, Any]] = []
        for row in rows:
            try:
                ask_for_version(self.database, row["id"], row["definition"], importer)
                may.append(row)
            except IllegalChange as waits:
                remarks.append(ImportProblem(row["row"], "", waits.message))
        return may

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
        not_read: list[int] = []
        parsed = (
            file_read(cells, zone=self.zone, now=now, not_read=not_read) for cells in table.rows()
        )
        grouped = by_meter((read for read in parsed if read), table.problems)
        if not_read:
            left_out = nsentence(
                "{count} meter without a reading left out.",
                "{count} meters without a reading left out.",
                len(not_read),
            )
            table.remarks = (*table.remarks, left_out)
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
        peers = PeerUses()
        histories = {
            meter.serial: MeterHistory.of(
                meter,
                versions=versions.get(meter.tariff_id or "", ()),
                book=self.limit_book,
                peers=peers,
            )
            for meter in meters
        }
        judged = Judged()
        unknown_serials = [serial for serial, _ in batch if serial not in histories]
        meant = self._look_alikes.meant_by("meters", unknown_serials) if unknown_serials else {}
        for serial, reads in batch:
            if serial not in histories:
                why = unknown("meters", serial, meant.get(serial))
                judged.problems.extend(ImportProblem(r.row, "meter_serial", why) for r in reads)
        # In the order of time over all of them: meters are compared with each other.
        known = [read for serial, reads in batch if serial in histories for read in reads]
        for of_day in by_day(known):
            for read in of_day:
                histories[read.serial].show_peers(read)
            for read in of_day:
                judge(histories[read.serial], read, source=as_source, into=judged)
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
