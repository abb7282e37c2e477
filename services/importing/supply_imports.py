"""Imports of what the supply consists of beside meters: places, and who is supplied there."""

from dataclasses import dataclass
from datetime import datetime

from services.importing.by_kind.place_rows import agreement_row, name_contradictions, point_row
from services.importing.chunks import chunks_of
from services.importing.look_alikes import Kind
from services.importing.report import ImportReport
from services.importing.source import Source, UnreadableFile
from services.importing.table_imports import (
    TableImports,
    chunks_by,
    name_duplicates,
)
from services.quantities.period import local_date

# Each is compared with all others of its place: a call stays within seconds.
AGREEMENTS_IN_A_CALL = 1000


@dataclass(frozen=True, slots=True)
class SupplyImports(TableImports):
    """Places of supply and service agreements."""

    def service_points(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Add places of supply, or change what is known of those with these codes."""
        try:
            table = self._table("service_points", source)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        today = local_date(now, self.zone)
        rows = [point_row(cells, today=today) for cells in table.rows()]
        name_duplicates(rows, "code", table.problems)
        self._name_similar(table, rows, kind="service_points", column="code")
        chunks = list(chunks_of(rows, self.chunk_rows))
        return self._check_and_store("service_points", chunks, actor, table)

    def agreements(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Add who is supplied at known places, from when to when, or end what is known.

        An agreement begins and ends at accepted reads of these days.
        """
        try:
            table = self._table("agreements", source)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,))
        versions = sorted(self.database.tariff_versions(), key=lambda one: one.effective_from)
        tariffs = {one.code: one for one in versions}
        rows = [
            agreement_row(cells, zone=self.zone, now=now, tariffs=tariffs) for cells in table.rows()
        ]
        name_contradictions(rows, table.problems)
        named: tuple[tuple[Kind, str], ...] = (
            ("customers", "account_no"),
            ("service_points", "service_point"),
        )
        for kind, column in named:
            self._look_alikes.name_unknown(rows, kind=kind, column=column, problems=table.problems)
        # A place's agreements together: where one ends the next begins.
        chunks = list(chunks_by("service_point", rows, min(self.chunk_rows, AGREEMENTS_IN_A_CALL)))
        return self._check_and_store("agreements", chunks, actor, table)
