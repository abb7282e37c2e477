"""Imports in the office: what a file holds, what importing it would do, then the import itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, Literal

from services.database.service import DatabaseService
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.importing.bank.files import statement_table
from services.importing.by_kind.interval_rows import INTERVAL_COLUMNS, INTERVAL_OPTIONS
from services.importing.columns import LEFT_OUT, WantedColumns, heading_key
from services.importing.dates import DateOrder
from services.importing.importer import Importer
from services.importing.interval_imports import AS_READINGS
from services.importing.kinds import COLUMNS_OF, TableKind
from services.importing.meter_files.nem13 import HEADER, readings_table
from services.importing.meter_files.recognise import MeterFormat, meter_format
from services.importing.raw_rows import find_header, raw_rows, rows_below
from services.importing.report import ImportProblem, ImportReport
from services.importing.rows import derived_id
from services.importing.source import UnreadableFile
from services.importing.writing import Progress, say_nothing
from services.languages.language import ENGLISH_LANGUAGE, Language
from services.languages.sentence import N_
from services.outbox.outbox import Outbox
from services.quantities.spreadsheet import csv_file, xlsx_file
from services.quantities.written_numbers import DecimalSign
from services.utility_settings.current import CurrentSettings

ROWS_SHOWN: Final = 10
_MOST_HEADING: Final = 200
_OF_PROBLEMS: Final = (N_("row"), N_("column"), N_("what_is_wrong"))


@dataclass(frozen=True, slots=True)
class FileAnswers:
    """What a person said of one file, where it leaves something open."""

    decimal: DecimalSign | None = None
    date_order: DateOrder | None = None
    allow_similar: bool = False
    other_account: bool = False
    meter: str | None = None


@dataclass(frozen=True, slots=True)
class FileLook:
    """The headings of a file with the field that each is taken for, and its first rows.

    `rows` are numbered as a spreadsheet numbers them; `missing` are required fields that no heading
    is taken for. A file of a `format` of its own has no headings that could be meant otherwise.
    """

    headings: tuple[str, ...]
    fields: tuple[str | None, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    missing: tuple[str, ...]
    format: str = ""


def permissions_for(kind: TableKind) -> tuple[Permission, ...]:
    """What lets somebody import files of a kind: who takes payments brings in bank statements."""
    if kind == "bank_statements":
        return (Permission.IMPORT_FILES, Permission.RECORD_PAYMENTS)
    return (Permission.IMPORT_FILES,)


@dataclass(frozen=True, slots=True)
class FileImports:
    """Imports of files. Each method raises NotAllowed and DatabaseError.

    A report is as the command's, from the same Importer.
    """

    database: DatabaseService
    settings: CurrentSettings
    outbox: Outbox

    def look(self, kind: TableKind, content: bytes, *, principal: Principal) -> FileLook:
        """The first rows of a file, and which column is taken for which. Raises UnreadableFile."""
        require(principal, *permissions_for(kind))
        if kind in ("intervals", "readings") and (found := meter_format(content)) is not None:
            return _look_at_meter_file(kind, content, found)
        columns = COLUMNS_OF[kind]
        table = statement_table(content) if kind == "bank_statements" else content
        said = {one.heading_key: one.field for one in self.database.import_headings(kind=kind)}
        wanted = WantedColumns(columns.required, columns.optional, columns.prefix, said)
        raw = raw_rows(table, wanted=wanted)
        header = find_header(raw, wanted=wanted)
        fields = wanted.fields_of(header.headings)
        filled = (
            (number, tuple(cell.strip() for cell in record))
            for number, record in rows_below(raw, header.row)
            if any(cell.strip() for cell in record)
        )
        return FileLook(
            headings=tuple(header.headings),
            fields=tuple(fields),
            rows=tuple(islice(filled, ROWS_SHOWN)),
            missing=tuple(name for name in columns.required if name not in fields),
        )

    def remember(
        self,
        kind: TableKind,
        chosen: Mapping[str, str | None],
        *,
        headings: Sequence[str],
        principal: Principal,
    ) -> None:
        """Remember which of the file's headings is meant by each of our fields, if one is.

        Headings that are chosen for no field are left out from now on.
        """
        require(principal, *permissions_for(kind))
        field_of = {heading: field for field, heading in chosen.items() if heading}
        self.database.set_import_headings(
            actor=principal.user,
            kind=kind,
            headings=[
                {
                    "id": derived_id("heading", kind, heading_key(heading)),
                    "heading": heading,
                    "heading_key": heading_key(heading),
                    "field": field_of.get(heading, LEFT_OUT),
                }
                for heading in dict.fromkeys(headings)
                if heading_key(heading) and len(heading) <= _MOST_HEADING
            ],
        )

    def check(
        self,
        kind: TableKind,
        content: bytes,
        *,
        answers: FileAnswers,
        principal: Principal,
        now: datetime,
        progress: Progress = say_nothing,
    ) -> ImportReport:
        """What importing the file would do, or all that is wrong with it; nothing is written."""
        require(principal, *permissions_for(kind))
        importer = self._importer(answers, progress, dry_run=True)
        return importer.run(kind, content, actor=principal.user, now=now)

    def bring_in(
        self,
        kind: TableKind,
        content: bytes,
        *,
        answers: FileAnswers,
        principal: Principal,
        now: datetime,
        progress: Progress = say_nothing,
    ) -> ImportReport:
        """Import the file: it is checked whole again, then written. A repeat changes nothing."""
        require(principal, *permissions_for(kind))
        importer = self._importer(answers, progress, dry_run=False)
        return importer.run(kind, content, actor=principal.user, now=now)

    def template(
        self, kind: TableKind, file_kind: Literal["csv", "xlsx"], *, principal: Principal
    ) -> bytes:
        """A file with the columns of a kind and no rows."""
        require(principal, *permissions_for(kind))
        columns = COLUMNS_OF[kind]
        names = (*columns.required, *columns.optional)
        return csv_file(names, []) if file_kind == "csv" else xlsx_file(names, [])

    def problems_file(
        self,
        problems: Sequence[ImportProblem],
        *,
        principal: Principal,
        language: Language = ENGLISH_LANGUAGE,
    ) -> bytes:
        """All that is wrong with a file, as CSV: its first row and the reasons in a language.

        Columns keep the names that files have.
        """
        require(principal, Permission.IMPORT_FILES, Permission.RECORD_PAYMENTS)
        heading = [language.gettext(name) for name in _OF_PROBLEMS]
        rows = ((p.row or "", p.column, language.say(p.message)) for p in problems)
        return csv_file(heading, rows)

    def _importer(self, answers: FileAnswers, progress: Progress, *, dry_run: bool) -> Importer:
        held = self.settings()
        return Importer(
            self.database,
            held.timezone,
            decimal=answers.decimal,
            date_order=answers.date_order,
            allow_similar=answers.allow_similar,
            other_account=answers.other_account,
            meter=answers.meter,
            limit_book=self.settings.limit_book(),
            default_language=held.default_language,
            default_currency=held.currency,
            outbox=self.outbox.on_money(),
            dry_run=dry_run,
            progress=progress,
        )


def _look_at_meter_file(kind: TableKind, content: bytes, found: MeterFormat) -> FileLook:
    """The columns of what a file of the metering trade becomes; the report says what it holds.

    Raises UnreadableFile where it is of the other kind.
    """
    if kind == "readings":
        readings_table(content)
        fields: tuple[str, ...] = HEADER
    elif found == "NEM13":
        raise UnreadableFile(AS_READINGS)
    else:
        fields = (*INTERVAL_COLUMNS, *INTERVAL_OPTIONS)
    return FileLook(headings=fields, fields=fields, rows=(), missing=(), format=found)
