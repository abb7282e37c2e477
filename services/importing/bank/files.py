"""What kind of bank statement a file is, and the file as a table."""

import io
import re
from collections.abc import Iterable
from typing import Final

from services.importing.bank.camt import camt_lines
from services.importing.bank.lines import HEADER, StatementLine
from services.importing.bank.swift import is_mt940, mt940_lines
from services.importing.source import Source, UnreadableFile, read_bytes, read_text
from services.importing.workbook import is_workbook
from services.languages.sentence import N_, joined, sentence
from services.quantities.spreadsheet import write_csv

_XML: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<")
_OTHERS: Final = (
    (rb"\s*OFXHEADER|\s*<OFX", N_("The file is OFX.")),
    (rb"%PDF", N_("The file is a PDF.")),
    (rb"\s*!Type:", N_("The file is QIF.")),
)
_INSTEAD: Final = N_("Export the statement from the bank as camt.053 (XML), MT940 or CSV.")


def statement_table(source: Source) -> Source:
    """The file itself where it is a table; camt.053 and MT940 as one. Raises UnreadableFile."""
    data = source.encode() if isinstance(source, str) else read_bytes(source)
    for pattern, what in _OTHERS:
        if re.match(pattern, data[:1000]):
            raise UnreadableFile(joined([sentence(what), sentence(_INSTEAD)], " "))
    if is_workbook(data):
        return data
    if _XML.match(data[:1000]) or (data[:2] in (b"\xff\xfe", b"\xfe\xff") and b"<" in data[:8]):
        return _as_csv(camt_lines(data))
    # MT940 has no encoding of its own: what is not UTF-8 is read as the banks of the West write it.
    text = read_text(data, remarks=[])
    return _as_csv(mt940_lines(text)) if is_mt940(text) else data


def _as_csv(lines: Iterable[StatementLine]) -> str:
    out = io.StringIO(newline="")
    write_csv(out, HEADER, ([_cell(text) for text in line.cells] for line in lines))
    return out.getvalue()


def _cell(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)
