"""Writing a full export: page by page from the database into a ZIP on disk."""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.database.service import DatabaseService
from services.importing.full_export.import_files import Cells, ImportFile, import_files
from services.importing.writing import Progress, say_nothing
from services.quantities.period import local_date
from services.quantities.spreadsheet import write_csv
from services.records.imports import ArchivedTable, ExportSource

_ROWS_AT_ONCE: Final = 2000
_README: Final = """Full export of {utility}, made {at}.

import/
  Files that the imports take back, with exactly their columns. Billing goes on where it stopped:
  each meter begins at the last read that an issued bill closed at, with the readings since then.
  What is open of bills, fees and credits is in balances.csv, deposits too; payments are history in
  past_payments.csv. Import into an empty database in this order:
  {order}.
  Issue or delete drafts before you export: a draft is no bill, and its use is billed again. What a
  meter measured that was exchanged since the last bill is only in archive/: bill it first.

archive/
  Every row of every table as it is: bills with their lines, payments, the ledger, all readings, the
  audit trail. It is for keeping and for looking at; nothing imports it. Amounts are whole minor
  units, energy whole Wh, times UTC.

Text that a spreadsheet would take for a formula has an apostrophe before it, which the imports take
off again. Not here: sign-ins, keys, addresses that are secrets (webhooks), and the bills' PDFs.
"""


@dataclass(frozen=True, slots=True)
class Exported:
    """How many rows each file of an export has, by its name in the ZIP."""

    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class FullExport:
    """Writes all that a utility owns; one page of rows is held at a time."""

    database: DatabaseService
    zone: ZoneInfo
    utility: str
    progress: Progress = say_nothing

    def write(self, path: Path, *, now: datetime) -> Exported:
        """Write the ZIP at `path`, whole or not at all. Raises DatabaseError, OSError."""
        unfinished = path.with_name(f"{path.name}.part")
        try:
            exported = self._write(unfinished, now)
            unfinished.replace(path)
        finally:
            with suppress(FileNotFoundError):
                unfinished.unlink()
        return exported

    def _write(self, path: Path, now: datetime) -> Exported:
        plan = self.database.export_plan()
        files = import_files(self.zone, plan.registers, today=local_date(now, self.zone))
        rows: dict[str, int] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=5) as bundle:
            path.chmod(0o600)
            bundle.writestr("README.txt", self._readme(files, now))
            bundle.writestr("import/tariffs.json", self._tariffs())
            for group in _by_kind(files):
                name = f"import/{group[0].kind}.csv"
                rows[name] = self._csv(bundle, name, group[0].columns, self._to_import(group))
            for table in plan.tables:
                name = f"archive/{table.name}.csv"
                rows[name] = self._csv(bundle, name, table.columns, self._archived(table))
        return Exported(rows)

    def _readme(self, files: Sequence[ImportFile], now: datetime) -> str:
        order = ", ".join(("tariffs", *(group[0].kind for group in _by_kind(files))))
        at = now.astimezone(self.zone).strftime("%Y-%m-%d %H:%M %Z")
        return _README.format(utility=self.utility, at=at, order=order)

    def _tariffs(self) -> str:
        versions = self.database.tariff_versions()
        return json.dumps([version.definition for version in versions], ensure_ascii=False)

    def _csv(
        self,
        bundle: zipfile.ZipFile,
        name: str,
        columns: Sequence[str],
        rows: Iterable[Cells],
    ) -> int:
        with (
            bundle.open(name, "w", force_zip64=True) as raw,
            io.TextIOWrapper(raw, "utf-8-sig", errors="replace", newline="") as text,
        ):
            number = write_csv(text, columns, self._watched(rows, name))
        self.progress(number, 0, f"{name}: row")
        return number

    def _watched(self, rows: Iterable[Cells], name: str) -> Iterator[Cells]:
        for number, row in enumerate(rows):
            if number % _ROWS_AT_ONCE == 0:
                self.progress(number, 0, f"{name}: row")
            yield row

    def _to_import(self, files: Sequence[ImportFile]) -> Iterator[Cells]:
        for file in files:
            for row in self._rows("import", file.source, file.at_once):
                yield from file.rows_of(row)

    def _archived(self, table: ArchivedTable) -> Iterator[Cells]:
        for row in self._rows("archive", table.name, _ROWS_AT_ONCE):
            yield [_plain(row[column]) for column in table.columns]

    def _rows(self, source: ExportSource, what: str, limit: int) -> Iterator[dict[str, Any]]:
        after: Sequence[Any] | None = None
        while True:
            rows, after = self.database.export_rows(
                source=source, what=what, after=after, limit=limit
            )
            yield from rows
            if len(rows) < limit:
                return


def _by_kind(files: Sequence[ImportFile]) -> list[list[ImportFile]]:
    """The files by the kind of import, of which one may be made of several sources."""
    groups: dict[str, list[ImportFile]] = {}
    for file in files:
        groups.setdefault(file.kind, []).append(file)
    return list(groups.values())


def _plain(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
