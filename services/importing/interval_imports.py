"""Imports of interval series: tables, and the metering trade's own files, which are streamed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from services.importing.by_kind.interval_rows import IntervalFile
from services.importing.chunks import chunks_of
from services.importing.meter_files.interval_source import IntervalSource
from services.importing.meter_files.recognise import MeterFormat, meter_format
from services.importing.report import ImportProblem, ImportReport
from services.importing.source import Source, UnreadableFile
from services.importing.supply_imports import SupplyImports
from services.importing.writing import Counts, Row
from services.languages.sentence import sentence

DAYS_AT_ONCE: Final = 1000
AS_READINGS: Final = sentence(
    "The file is NEM13, which holds register readings: import it as readings, not as intervals."
)


@dataclass(frozen=True, slots=True)
class _Days:
    """The days of a file in parts, which may be walked through again."""

    parts: Callable[[], Iterator[list[Row]]]

    def __iter__(self) -> Iterator[list[Row]]:
        return self.parts()


@dataclass(frozen=True, slots=True)
class IntervalImports(SupplyImports):
    """Interval series. `meter` is the serial of the meter of a file that does not name it."""

    meter: str | None = None

    def intervals(self, source: Source, *, actor: str, now: datetime) -> ImportReport:
        """Keep interval series of known meters, by local days; other values are a new version.

        The report counts days. NEM12 and Green Button are known by their content.
        """
        try:
            found = meter_format(source)
            if found == "NEM13":
                raise UnreadableFile(AS_READINGS)
            if found is not None:
                return self._meter_file(source, found, actor, now)
            table = self._table("intervals", source)
        except UnreadableFile as error:
            return ImportReport(errors=(error.problem,), dry_run=self.dry_run)
        file = IntervalFile(zone=self.zone, now=now, problems=table.problems)
        for cells in table.rows():
            file.add(cells)
        # The first walk finds what is wrong, so that none of it is written.
        of = sum(1 for _ in file.days())
        self._look_alikes.name_unknown(
            file.first_rows(), kind="meters", column="meter_serial", problems=table.problems
        )
        counts = self._write_days(file.days, actor, table.problems, of=of)
        return self._report_of(table, counts)

    def _write_days(
        self,
        days: Callable[[], Iterator[Row]],
        actor: str,
        problems: list[ImportProblem],
        *,
        of: int,
    ) -> Counts:
        at_once = min(self.chunk_rows, DAYS_AT_ONCE)
        parts = _Days(lambda: chunks_of(days(), at_once))
        return self._writer(actor).check_and_write("intervals", parts, problems, of=of)

    def _meter_file(
        self, source: Source, found: MeterFormat, actor: str, now: datetime
    ) -> ImportReport:
        """Walk through the file to know that all of it is right, then again to write it.

        Raises UnreadableFile.
        """
        file = IntervalSource.of(source, found, zone=self.zone, now=now, serial=self.meter)
        seen = file.looked_through()
        problems: list[ImportProblem] = []
        named: list[Row] = [{"row": row, "meter_serial": s} for s, row in seen.serials.items()]
        self._look_alikes.name_unknown(
            named, kind="meters", column="meter_serial", problems=problems
        )
        counts = self._write_days(file.days, actor, problems, of=seen.days)
        remarks = [ImportProblem(None, "", remark) for remark in seen.remarks]
        report = self._report(counts, problems, remarks=remarks)
        nameless = found == "Green Button" and any(p.column == "meter_serial" for p in problems)
        return replace(report, asks=frozenset({"meter"})) if nameless else report
