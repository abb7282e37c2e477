"""Workbooks, XLSX and ODS: their rows, read by a process of its own with limits."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.importing.workbook_reader import REFUSED
from services.languages.sentence import N_, Sentence, sentence
from services.languages.stored import found_again

_READER: Final = Path(__file__).with_name("workbook_reader.py")
_SECONDS: Final = 120
_ZIP: Final = b"PK\x03\x04"
_OLD: Final = b"\xd0\xcf\x11\xe0"


class TypedText(str):
    """A cell that the workbook holds as a number, date or yes/no: how it is meant is certain."""

    __slots__ = ()


class UnreadableWorkbook(Exception):
    """The workbook cannot be used; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Workbook:
    """The first shown sheet that has cells, and the names of further ones that were left out."""

    sheet: str
    others: tuple[str, ...]
    _lines: bytes

    def records(self) -> Iterator[list[str]]:
        """Every row of the sheet from its first, blank ones too."""
        start = self._lines.index(b"\n") + 1
        while start < len(self._lines):
            end = self._lines.index(b"\n", start)
            row = json.loads(self._lines[start:end])
            yield [cell if isinstance(cell, str) else TypedText(cell[0]) for cell in row]
            start = end + 1


# What workbook_reader.py says, which imports nothing of ours.
READER_SAYS: Final = (
    N_("The workbook cannot be read ({error}). Open it and save it again as XLSX."),
    N_("The workbook has no cells on a sheet that is shown."),
    N_(
        "The sheet {name} reaches to row {row} and column {column}; at most {rows} rows and "
        "{columns} columns are read. Delete what lies below and beside the table, or split it."
    ),
    N_("The sheet {name} holds more than {most} MB of text. Split it and import the parts."),
    N_(
        "The workbook unpacks to more than {most} MB, which no table of this kind needs. Save the "
        "table alone as a new workbook, or split it."
    ),
    N_("The workbook is damaged. Open it in a spreadsheet and save it again as XLSX."),
    N_("The workbook has a password. Save a copy without one."),
    N_("This is not a workbook. Save the table as XLSX, ODS or CSV."),
)


def is_workbook(data: bytes) -> bool:
    """Whether these bytes are a workbook rather than text."""
    return data.startswith((_ZIP, _OLD))


def read_workbook(data: bytes, *, most_bytes: int) -> Workbook:
    """Read a workbook whose cells are at most `most_bytes` of text. Raises UnreadableWorkbook."""
    if data.startswith(_OLD):
        raise UnreadableWorkbook(
            sentence(
                "This workbook has a password or the old format XLS. Save a copy as XLSX without a "
                "password."
            )
        )
    try:
        # Isolated: neither this folder nor the environment decides what it imports.
        done = subprocess.run(  # noqa: S603 - our own script; the file is its input
            [sys.executable, "-I", str(_READER), str(most_bytes)],
            input=data,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnreadableWorkbook(_too_much(N_("time"))) from None
    if done.returncode == REFUSED:
        said = done.stderr.decode("utf-8", errors="replace")
        raise UnreadableWorkbook(found_again(said) or said)
    if done.returncode:
        raise UnreadableWorkbook(_too_much(N_("memory")))
    about = json.loads(done.stdout[: done.stdout.index(b"\n")])
    return Workbook(about["sheet"], tuple(about["others"]), done.stdout)


def _too_much(of_what: str) -> Sentence:
    return sentence(
        "Reading this workbook takes more {of_what} than any table of this kind needs. Copy the "
        "table alone into a new workbook, or save it as CSV.",
        of_what=sentence(of_what),
    )
