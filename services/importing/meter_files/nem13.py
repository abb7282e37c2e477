"""Reading NEM13, the Australian market's file of register readings, as a table of readings.

AEMO, Meter Data File Format Specification NEM12 & NEM13. The previous read of a record is the
current one of an earlier file, so the current one is taken.
"""

import csv
import io
import re
from datetime import datetime
from typing import Final

from services.importing.meter_files.nem12 import MARKET_TIME
from services.importing.meter_files.nem_quality import UnknownFlag, quality_of
from services.importing.meter_files.recognise import meter_format
from services.importing.source import Source, UnreadableFile, read_text
from services.languages.sentence import ended, nsentence, sentence, sentence_of
from services.quantities.spreadsheet import write_csv

HEADER: Final = ("meter_serial", "reading_kwh", "read_at", "quality")
_TIME: Final = re.compile(r"[0-9]{14}")
_CELLS: Final = 23


def readings_table(source: Source) -> str | None:
    """A NEM13 file as CSV, None for a file that is a table itself. Raises UnreadableFile."""
    found = meter_format(source)
    if found is None:
        return None
    if found != "NEM13":
        raise UnreadableFile(
            sentence(
                "The file is {format}, which holds interval data: import it as intervals.",
                format=found,
            )
        )
    return nem13_table(read_text(source))


def nem13_table(text: str) -> str:
    """The reads of energy from the network as CSV; a record keeps the number of its line.

    Raises UnreadableFile at the first line that is wrong.
    """
    rows: list[tuple[str, ...]] = []
    ended = False
    records = csv.reader(io.StringIO(text, newline=""))
    try:
        for record in records:
            cells = [cell.strip() for cell in record]
            rows += [()] * (records.line_num - len(rows) - 1)
            rows.append(_read(records.line_num, cells) if cells[:1] == ["250"] else ())
            ended = (cells[:1] == ["900"]) if any(cells) else ended
    except csv.Error as error:
        raise UnreadableFile(
            sentence("is no line of CSV: {error}.", error=str(error)), row=records.line_num
        ) from None
    if not ended:
        raise UnreadableFile(
            sentence("The file ends without its last record (900): it was cut off. Fetch it again.")
        )
    if not any(rows):
        raise UnreadableFile(
            sentence("The file has no register readings of energy from the network (250).")
        )
    out = io.StringIO(newline="")
    # The first line of the file names its format: the header stands in its place.
    write_csv(out, HEADER, rows[1:])
    return out.getvalue()


def _read(line: int, cells: list[str]) -> tuple[str, ...]:
    if len(cells) < _CELLS:
        why = nsentence(
            "has {count} cell; a 250 record has {cells}. Fetch the file again.",
            "has {count} cells; a 250 record has {cells}. Fetch the file again.",
            len(cells),
            cells=_CELLS,
        )
        raise UnreadableFile(why, row=line)
    nmi, serial, direction = cells[1], cells[6], cells[7]
    reading, read_at, flag, unit = cells[13], cells[14], cells[15], cells[19]
    if direction != "E":
        return ()
    if unit.upper() != "KWH":
        raise UnreadableFile(
            sentence("has the unit {unit}: readings must be in kWh.", unit=repr(unit[:20])),
            row=line,
        )
    try:
        quality = quality_of(flag)
    except UnknownFlag as error:
        raise UnreadableFile(ended(sentence_of(error)), row=line) from None
    if quality is None:
        raise UnreadableFile(
            sentence(
                "has no value that could be billed (its quality is {quality}): take the line out.",
                quality=flag,
            ),
            row=line,
        )
    return serial or nmi, reading, _instant(line, read_at), str(int(quality))


def _instant(line: int, text: str) -> str:
    if _TIME.fullmatch(text):
        try:
            return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=MARKET_TIME).isoformat()
        except ValueError:
            pass
    raise UnreadableFile(
        sentence(
            "must say when it was read as in 20260301093000, not {typed}.", typed=repr(text[:20])
        ),
        row=line,
    )
