"""What an import is checked against, and what came of it: records."""

from datetime import datetime
from typing import Literal

from services.records.base import Record
from services.records.readings import Read, ReadingStatus
from services.records.use_limits import ClassUse


class IdentifierKey(Record):
    """An identifier's key, and what is stored under it: itself, one that looks like it, or None."""

    identifier: str
    key: str
    known: str | None

    @property
    def look_alike(self) -> str | None:
        """Another stored identifier with the same key, where this one is not stored."""
        return self.known if self.known != self.identifier else None


class RowProblem(Record):
    """What the database says is wrong with a row of a file, and in which column if in one."""

    row: int | None
    column: str = ""
    message: str


class ImportAnswer(Record):
    """How many rows an import adds, changes and leaves; with errors it writes nothing."""

    errors: tuple[RowProblem, ...]
    added: int
    changed: int
    unchanged: int


class Difference(Record):
    """A field that an import changes: of a customer, meter … by its name."""

    of: str
    name: str
    field: str
    before: str
    after: str


class ImportPreview(ImportAnswer):
    """What an import would do: names that it adds, and the first of the fields that it changes."""

    new_names: tuple[str, ...]
    differences: tuple[Difference, ...]


ExportSource = Literal["import", "archive"]


class ArchivedTable(Record):
    """A table of which a full export holds every row, with its columns in their order."""

    name: str
    columns: tuple[str, ...]


class ExportPlan(Record):
    """What a full export consists of beside the imports' own columns."""

    registers: tuple[str, ...]
    tables: tuple[ArchivedTable, ...]


class SaidHeading(Record):
    """A heading of somebody's own and our column; the field is empty where it is left out."""

    heading: str
    heading_key: str
    field: str


class JudgedRead(Read):
    """A read with what was decided about it."""

    status: ReadingStatus


class Installed(Record):
    """From and until when (UTC) a meter was installed somewhere; until is None while it is."""

    since: datetime
    until: datetime | None


class MeterReads(Record):
    """A meter and its reads, the oldest first; `class_use` only while it has no use of its own."""

    id: str
    serial: str
    dials: int
    multiplier_milli: int
    # Of who is supplied by it now, if anybody is.
    agreement_id: str | None
    tariff_id: str | None
    registers: tuple[str, ...]
    connected_w: int | None
    connected_va: int | None
    class_use: ClassUse | None
    reads: tuple[JudgedRead, ...]
    # When it was installed, in order; until is None while it is.
    installed: tuple[Installed, ...]
