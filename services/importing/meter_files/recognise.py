"""What a file of meter data is, by its content: the office need not know its name."""

import io
import re
import zipfile
from typing import Final, Literal

from services.importing.source import Source, UnreadableFile, read_bytes
from services.importing.workbook import is_workbook
from services.languages.sentence import sentence

MeterFormat = Literal["NEM12", "NEM13", "Green Button"]

_LOOKED_AT: Final = 2000
_XML: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")
# A record of the format stands in one of the first lines, also where the header is missing.
_NEM: Final = re.compile(r"\s*\"?(100|200|250|300)\"?,(?:\"?(NEM1[23])\b)?")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_PARTS_OF_WORKBOOKS: Final = frozenset({"[Content_Types].xml", "content.xml"})
_ARCHIVE: Final = (b"\x1f\x8b", b"BZh", b"7z\xbc\xaf", b"Rar!")


def meter_format(source: Source) -> MeterFormat | None:
    """The format of a file, or None for a table. Raises UnreadableFile for an archive."""
    data = source.encode() if isinstance(source, str) else read_bytes(source)
    if data.startswith(_ARCHIVE) or _is_zip_of_files(data):
        raise UnreadableFile(
            sentence("The file is an archive: unpack it and import the file that is in it.")
        )
    start = data[:_LOOKED_AT]
    if _XML.match(start) or (data[:2] in _UTF_16 and b"<" in data[:8]):
        return "Green Button"
    if is_workbook(data):
        return None
    encoding = "utf-16" if start[:2] in _UTF_16 else "utf-8"
    found = _NEM.match(start.decode(encoding, "replace").removeprefix("\ufeff"))
    if found is None:
        return None
    return "NEM13" if found[2] == "NEM13" or found[1] == "250" else "NEM12"


def _is_zip_of_files(data: bytes) -> bool:
    """Whether it is a ZIP, but no workbook, by the names in it: nothing of it is unpacked."""
    if not data.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _PARTS_OF_WORKBOOKS.isdisjoint(archive.namelist())
    except zipfile.BadZipFile:
        return False
