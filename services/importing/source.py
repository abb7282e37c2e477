"""Getting the text of a file that somebody hands in: size, encoding, stray bytes."""

import codecs
from pathlib import Path

from services.importing.report import ImportProblem

MOST_BYTES = 100_000_000
Source = str | bytes | Path

WINDOWS_1252 = (
    "The file is not UTF-8, so it was read as Windows-1252, the encoding of Western European "
    "spreadsheets. Look at letters with accents before you import."
)


class UnreadableFile(Exception):
    """The file as a whole cannot be used; `problem` says what to do."""

    def __init__(self, message: str, *, row: int | None = None) -> None:
        super().__init__(message)
        self.problem = ImportProblem(row, "", message)


def read_text(
    source: Source, *, most_bytes: int = MOST_BYTES, remarks: list[str] | None = None
) -> str:
    """The text of a path, of bytes, or the text itself, without a byte order mark.

    UTF-8 and UTF-16. Where the caller takes `remarks`, Windows-1252 too, which is then said there.
    Raises UnreadableFile.
    """
    text = source
    if not isinstance(text, str):
        text = _decoded(read_bytes(text, most_bytes=most_bytes), remarks)
    if len(text) > most_bytes:
        raise UnreadableFile(_too_large(most_bytes))
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UnreadableFile(
            f"Line {line} holds a NUL byte, which no text file has. Export the file again as text."
        )
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise UnreadableFile("The file is empty.")
    return text


def read_bytes(source: bytes | Path, *, most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of a path, or the bytes themselves. Raises UnreadableFile."""
    if isinstance(source, bytes):
        if len(source) > most_bytes:
            raise UnreadableFile(_too_large(most_bytes))
        return source
    try:
        if source.stat().st_size > most_bytes:
            raise UnreadableFile(_too_large(most_bytes))
        return source.read_bytes()
    except OSError as error:
        raise UnreadableFile(
            f"The file {source} cannot be read: {error.strerror or error}."
        ) from error


def _decoded(data: bytes, remarks: list[str] | None) -> str:
    try:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return data.decode("utf-16")
        if (guessed := _utf_16_without_mark(data)) is not None:
            return data.decode(guessed)
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
    if remarks is not None and b"\0" not in data:
        try:
            text = data.decode("cp1252")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
        else:
            remarks.append(WINDOWS_1252)
            return text
    raise UnreadableFile(
        f"Line {line} is not UTF-8 text. In a spreadsheet, save the file as “CSV UTF-8”."
    )


def _utf_16_without_mark(data: bytes) -> str | None:
    """UTF-16 of mostly Latin letters has a NUL in every second byte."""
    start = data[:2000]
    low, high = start[0::2].count(0), start[1::2].count(0)
    most = len(start) // 4
    if not most or max(low, high) <= most or min(low, high) > most // 4:
        return None
    return "utf-16-be" if low > high else "utf-16-le"


def _too_large(most_bytes: int) -> str:
    return f"The file is larger than {most_bytes // 1_000_000} MB. Split it and import the parts."
