"""Getting the text of a file that somebody hands in: size, encoding, stray bytes."""

from pathlib import Path

from services.importing.report import ImportProblem

MOST_BYTES = 100_000_000
Source = str | bytes | Path


class UnreadableFile(Exception):
    """The file as a whole cannot be used; `problem` says what to do."""

    def __init__(self, message: str, *, row: int | None = None) -> None:
        super().__init__(message)
        self.problem = ImportProblem(row, "", message)


def read_text(source: Source, *, most_bytes: int = MOST_BYTES) -> str:
    """The text of a path, of bytes, or the text itself, without a byte order mark.

    Raises UnreadableFile.
    """
    text = source if isinstance(source, str) else _decoded(_bytes_of(source, most_bytes))
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


def _bytes_of(source: bytes | Path, most_bytes: int) -> bytes:
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


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(
            f"Line {line} is not UTF-8 text. In a spreadsheet, save the file as “CSV UTF-8”."
        ) from None


def _too_large(most_bytes: int) -> str:
    return f"The file is larger than {most_bytes // 1_000_000} MB. Split it and import the parts."
