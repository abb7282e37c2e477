"""Getting the text of a file that somebody hands in: size, encoding, stray bytes."""

import codecs
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.importing.report import ImportProblem
from services.languages.sentence import sentence

MOST_BYTES = 100_000_000
_AT_ONCE: Final = 1_000_000
_HEAD: Final = 200_000
Source = str | bytes | Path

WINDOWS_1252 = sentence(
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
            sentence(
                "Line {line} holds a NUL byte, which no text file has. Export the file again "
                "as text.",
                line=str(line),
            )
        )
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise UnreadableFile(sentence("The file is empty."))
    return text


@dataclass(frozen=True, slots=True)
class TextLines:
    """A text by its lines with their ends, as csv.reader takes them; `head` is how it begins."""

    head: str
    walk: Callable[[], Iterator[str]]


def read_lines(source: Source, *, remarks: list[str] | None = None) -> TextLines:
    """The lines of what `read_text` reads; UTF-8 stays bytes. Raises UnreadableFile."""
    data = None if isinstance(source, str) else read_bytes(source)
    if data is None or not _is_utf_8(data):
        text = read_text(source if data is None else data, remarks=remarks)
        return TextLines(text[:_HEAD], lambda: lines_of(text))

    def walk() -> Iterator[str]:
        return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")

    head = codecs.getincrementaldecoder("utf-8-sig")().decode(data[:_HEAD])
    return TextLines(head, walk)


def _is_utf_8(data: bytes) -> bool:
    """Whether it is a text in UTF-8 that is not blank; looked at piece by piece."""
    if b"\0" in data or data.removeprefix(codecs.BOM_UTF8).isspace():
        return False
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _AT_ONCE):
            decoder.decode(data[start : start + _AT_ONCE])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return len(data) > len(codecs.BOM_UTF8)


def lines_of(text: str) -> Iterator[str]:
    """The lines of a text with their ends, as csv.reader takes them.

    An io.StringIO of the whole would hold four bytes for each letter.
    """
    start = 0
    while start < len(text):
        limit = start + _AT_ONCE
        # After a line's end; a carriage return may have its line feed in the next piece.
        end = text.rfind("\n", start, limit) + 1 or text.rfind("\r", start, limit - 1) + 1
        if not end or limit >= len(text):
            end = text.find("\n", limit) + 1 or len(text)
        yield from io.StringIO(text[start:end], newline="")
        start = end


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
            sentence(
                "The file {file} cannot be read: {error}.",
                file=str(source),
                error=str(error.strerror or error),
            )
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
        sentence(
            "Line {line} is not UTF-8 text. In a spreadsheet, save the file as “CSV UTF-8”.",
            line=str(line),
        )
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
    return sentence(
        "The file is larger than {most} MB. Split it and import the parts.",
        most=most_bytes // 1_000_000,
    )
