"""Reading Green Button XML (ESPI, NAESB REQ.21): energy of intervals, as a stream.

A document type, and with it entities and outside files, is refused before anything is read.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Final, NoReturn
from xml.etree.ElementTree import Element, iterparse
from xml.parsers.expat import ExpatError, ParserCreate

from services.importing.meter_files.stretches import Stretch, TooLarge, whole_wh
from services.importing.source import UnreadableFile
from services.languages.sentence import N_, sentence, sentence_of
from services.quantities.quality import Quality

ESPI: Final = "http://naesb.org/espi"
_ATOM: Final = "http://www.w3.org/2005/Atom"
_WH: Final = "72"
_DELIVERED: Final = "1"
_DELTA: Final = ("", "0", "4")  # the energy of each interval, or nothing said; others are registers
_LENGTHS: Final = (5, 10, 15, 30, 60)
_MOST_SERIAL: Final = 60
_ENTRY: Final = f"{{{_ATOM}}}entry"
_TEN_POWERS: Final = range(-12, 13)
_PIECE: Final = 1 << 20
OF_REGISTERS: Final = N_("of registers")
OF_OTHER_QUANTITIES: Final = N_("of other quantities")
_NAMES: Final = ("UsagePoint", "MeterReading", "ReadingType")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A ReadingType: what the values of a MeterReading are."""

    unit: str
    direction: str
    power: int
    accumulation: str


@dataclass
class GreenButtonReader:
    """The energy that a feed says was delivered, one IntervalBlock after the other.

    `serial` is of the meter where the feed does not name it; the title of a UsagePoint does.
    `left_out` counts blocks of other kinds. Feeds that are read one after the other may refer to
    entries of those before, as the pages of one do; such a page `may_be_empty`. Raises
    UnreadableFile.
    """

    serial: str | None = None
    may_be_empty: bool = False
    left_out: dict[str, int] = field(default_factory=dict)
    _titles: dict[str, str] = field(default_factory=dict)
    _kind_of: dict[str, str] = field(default_factory=dict)
    _kinds: dict[str, _Kind] = field(default_factory=dict)

    def read(self, data: bytes) -> Iterator[Stretch]:
        """Each block; the whole feed must be walked through to know that it is right."""
        self.left_out.clear()
        _check(data)
        # Links point both ways, so all that blocks refer to is known before the first of them.
        for entry, place in _entries(data):
            self._note(entry, place)
        if self.serial and len(self._titles) > 1:
            raise UnreadableFile(
                sentence(
                    "The feed has {number} usage points, which are not all the meter {serial}. "
                    "Leave the serial empty, and name each usage point by its meter.",
                    number=len(self._titles),
                    serial=self.serial,
                )
            )
        found = False
        for entry, place in _entries(data):
            for block in entry.iter(f"{{{ESPI}}}IntervalBlock"):
                found = True
                yield from self._stretches(block, _link(entry, "up"), place)
        if not found and not self.may_be_empty:
            raise UnreadableFile(
                sentence(
                    "The file is XML, but no Green Button feed with an IntervalBlock: it has no "
                    "interval data."
                )
            )

    def _note(self, entry: Element, place: int) -> None:
        if entry.find(f".//{{{ESPI}}}interval") is not None:
            return
        own = _link(entry, "self")
        for name in _NAMES:
            element = entry.find(f".//{{{ESPI}}}{name}")
            if element is None:
                continue
            if name == "UsagePoint":
                self._titles[own] = (entry.findtext(f"{{{_ATOM}}}title") or "").strip()
            elif name == "ReadingType":
                self._kinds[own] = _kind(element, place)
            else:
                related = [link for link in _links(entry, "related") if "/ReadingType/" in link]
                self._kind_of[own] = related[0] if related else ""

    def _stretches(self, block: Element, up: str, place: int) -> Iterator[Stretch]:
        meter_reading = up.rpartition("/IntervalBlock")[0]
        kind = self._kinds.get(self._kind_of.get(meter_reading, ""))
        if kind is None:
            why = N_(
                "Entry {entry} of the feed has an IntervalBlock whose ReadingType is not in the "
                "feed."
            )
            _refuse(place, why)
        if kind.accumulation not in _DELTA or kind.unit != _WH or kind.direction != _DELIVERED:
            what = OF_REGISTERS if kind.accumulation not in _DELTA else OF_OTHER_QUANTITIES
            self.left_out[what] = self.left_out.get(what, 0) + 1
            return
        serial = self.serial or self._serial_of(meter_reading)
        yield from _joined(_readings(block, kind, place), serial, meter_reading, place)

    def _serial_of(self, meter_reading: str) -> str:
        usage_point = meter_reading.rpartition("/MeterReading")[0]
        return self._titles.get(usage_point, "")[:_MOST_SERIAL]


_Value = tuple[int, int, Decimal, int | None]


def _readings(block: Element, kind: _Kind, place: int) -> Iterator[_Value]:
    """The start and length of each interval in minutes, its Wh, and its quality if it is said."""
    for reading in block.iter(f"{{{ESPI}}}IntervalReading"):
        start = _whole(reading, "timePeriod/start", place)
        seconds = _whole(reading, "timePeriod/duration", place)
        value = _whole(reading, "value", place)
        if value < 0:
            why = N_("Entry {entry} of the feed has the energy {value}: it cannot be negative.")
            _refuse(place, why, value=str(value))
        if start % 60 or seconds % 60 or seconds // 60 not in _LENGTHS:
            why = N_(
                "Entry {entry} of the feed has an interval of {seconds} seconds from {start} on: "
                "it must be of 5, 10, 15, 30 or 60 whole minutes."
            )
            _refuse(place, why, seconds=str(seconds), start=str(start))
        quality = reading.find(f"{{{ESPI}}}ReadingQuality/{{{ESPI}}}quality")
        said = None if quality is None else _code(quality.text, place)
        yield start // 60, seconds // 60, Decimal(value).scaleb(kind.power), said


def _joined(values: Iterator[_Value], serial: str, channel: str, place: int) -> Iterator[Stretch]:
    """Intervals that follow each other without a gap, together."""
    run: list[_Value] = []
    for value in values:
        if run and (value[0] != run[-1][0] + run[-1][1] or value[1] != run[-1][1]):
            yield _stretch(run, serial, channel, place)
            run = []
        run.append(value)
    if run:
        yield _stretch(run, serial, channel, place)


def _stretch(run: list[_Value], serial: str, channel: str, place: int) -> Stretch:
    try:
        wh = whole_wh([value for _, _, value, _ in run])
    except TooLarge as error:
        why = N_("Entry {entry} of the feed has an interval where {error}.")
        _refuse(place, why, error=sentence_of(error))
    said = [quality for *_, quality in run]
    known = None if all(one is None for one in said) else [one or 0 for one in said]
    return Stretch(place, serial, channel, run[0][0], run[0][1], wh, known)


def _kind(element: Element, place: int) -> _Kind:
    power = _whole(element, "powerOfTenMultiplier", place, missing=0)
    if power not in _TEN_POWERS:
        why = N_("Entry {entry} of the feed has the power of ten {power}, beyond any meter's.")
        _refuse(place, why, power=str(power))
    return _Kind(
        unit=_text(element, "uom"),
        direction=_text(element, "flowDirection") or _DELIVERED,
        power=power,
        accumulation=_text(element, "accumulationBehaviour"),
    )


def _code(text: str | None, place: int) -> int:
    try:
        return Quality(int(text or ""))
    except ValueError:
        why = N_("Entry {entry} of the feed has the quality {quality}, which is no code of ESPI.")
        _refuse(place, why, quality=repr((text or "")[:20]))


class _Pieces(io.BytesIO):
    """A file that comes in large pieces: expat reads a long text again with each of them."""

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(_PIECE)


def _entries(data: bytes) -> Iterator[tuple[Element, int]]:
    """The entries of the feed with their numbers; each is forgotten when the next is asked for."""
    number = 0
    # Refused before: a document type, and with it entities, within the feed and outside.
    for _, element in iterparse(_Pieces(data)):  # noqa: S314
        if element.tag == _ENTRY:
            number += 1
            yield element, number
            element.clear()


def _check(data: bytes) -> None:
    """Refuse a document type, and XML that is broken. Raises UnreadableFile.

    defusedxml does the same with handlers in Python, which take several times as long.
    """
    parser = ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        parser.Parse(data, True)
    except ExpatError as error:
        raise UnreadableFile(
            sentence(
                "The XML of the file is broken near line {line}: export it again.",
                line=str(error.lineno),
            )
        ) from None
    except (LookupError, ValueError):
        raise UnreadableFile(
            sentence(
                "The XML of the file names an encoding that cannot be read: export it as UTF-8."
            )
        ) from None


def _refuse_document_type(*_declared: object) -> NoReturn:
    raise UnreadableFile(
        sentence(
            "The file declares XML entities or a document type, which no Green Button feed "
            "does: it is refused. Export it again."
        )
    )


def _link(entry: Element, rel: str) -> str:
    found = _links(entry, rel)
    return found[0] if found else ""


def _links(entry: Element, rel: str) -> list[str]:
    links = entry.findall(f"{{{_ATOM}}}link")
    return [link.get("href", "") for link in links if link.get("rel") == rel]


def _text(element: Element, path: str) -> str:
    return (element.findtext(_espi_path(path)) or "").strip()


@cache
def _espi_path(path: str) -> str:
    return "/".join(f"{{{ESPI}}}{name}" for name in path.split("/"))


def _whole(element: Element, path: str, place: int, *, missing: int | None = None) -> int:
    text = _text(element, path)
    if not text and missing is not None:
        return missing
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 15):
        why = N_("Entry {entry} of the feed has {typed} for {path}: it must be a whole number.")
        _refuse(place, why, typed=repr(text[:20]) if text else sentence("nothing"), path=path)
    return int(text)


def _refuse(entry: int, why: str, **values: object) -> NoReturn:
    raise UnreadableFile(sentence(why, entry=str(entry), **values))
