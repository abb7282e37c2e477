"""Workbooks, XLSX and ODS: their rows, read by a process of its own with limits."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.importing.workbook_reader import REFUSED

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


def is_workbook(data: bytes) -> bool:
    """Whether these bytes are a workbook rather than text."""
    return data.startswith((_ZIP, _OLD))


def read_workbook(data: bytes, *, most_bytes: int) -> Workbook:
    """Read a workbook whose cells are at most `most_bytes` of text. Raises UnreadableWorkbook."""
    if data.startswith(_OLD):
        raise UnreadableWorkbook(
            "This workbook has a password or the old format XLS. Save a copy as XLSX without a "
            "password."
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
        raise UnreadableWorkbook(_too_much("time")) from None
    if done.returncode == REFUSED:
        raise UnreadableWorkbook(done.stderr.decode("utf-8", errors="replace"))
    if done.returncode:
        raise UnreadableWorkbook(_too_much("memory"))
    about = json.loads(done.stdout[: done.stdout.index(b"\n")])
    return Workbook(about["sheet"], tuple(about["others"]), done.stdout)


def _too_much(of_what: str) -> str:
    return (
        f"Reading this workbook takes more {of_what} than any table of this kind needs. Copy the "
        "table alone into a new workbook, or save it as CSV."
    )
