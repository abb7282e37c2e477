"""Reading NEM12, the Australian market's file of interval data, day by day.

AEMO, Meter Data File Format Specification NEM12 & NEM13. All times are in the market's standard
time, ten hours ahead of UTC all year. What a reader could guess is refused, with its line.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Final, NoReturn

from services.importing.meter_files.nem_quality import (
    NO_VALUE,
    VARIES,
    UnknownFlag,
    quality_of,
)
from services.importing.meter_files.stretches import EPOCH, Stretch, TooLarge, whole_wh
from services.importing.source import UnreadableFile
from services.languages.sentence import Sentence, ended, nsentence, sentence, sentence_of
from services.readings.submission import EARLIEST

MARKET_TIME: Final = timezone(timedelta(hours=10))
_LENGTHS: Final = (5, 10, 15, 30, 60)
_WH_OF: Final = {"WH": Decimal(1), "KWH": Decimal(1000), "MWH": Decimal(1_000_000)}
_VALUE: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{0,9})?|\.[0-9]{1,9}")
_DAY: Final = re.compile(r"[0-9]{8}")
_MINUTE: Final = timedelta(minutes=1)
_MOST_SERIAL: Final = 60
_BEFORE_VALUES: Final = 2  # the record's number and its date


@dataclass
class Nem12Reader:
    """The intervals that a NEM12 file says were delivered (channels E), in its order.

    `left_out` counts the days of other channels, by channel. Raises UnreadableFile at the first
    line that is wrong.
    """

    today: date
    left_out: dict[str, int] = field(default_factory=dict)
    _channel: "_Channel | None" = None
    _day: "_Day | None" = None
    _seen: dict[str, tuple[int, str]] = field(default_factory=dict)
    _records: int = 0
    # Whether the last day was of a channel that is left out.
    _passes_over: bool = False

    def read(self, lines: Iterable[str]) -> Iterator[Stretch]:
        """Each day of each channel; the whole file must be walked through to know that it is."""
        records = csv.reader(lines)
        ended = True
        try:
            for record in records:
                cells = [cell.strip() for cell in record]
                if not any(cells):
                    continue
                line = records.line_num
                if cells[0] != "100" and ended:
                    _refuse(line, _no_header(cells[0], is_first=not self._records))
                self._records += 1
                ended = cells[0] == "900"
                yield from self._take(line, cells)
        except csv.Error as error:
            _refuse(records.line_num, sentence("is no line of CSV: {error}.", error=str(error)))
        if not self._records:
            raise UnreadableFile(sentence("The file is empty."))
        if not ended:
            raise UnreadableFile(
                sentence(
                    "The file ends without its last record (900): it was cut off. Fetch it again."
                )
            )
        if not self._seen and not self.left_out:
            raise UnreadableFile(sentence("The file has no interval data: it has no 300 record."))

    def _take(self, line: int, cells: list[str]) -> Iterator[Stretch]:
        kind = cells[0]
        if kind == "500":
            return
        if kind == "400":
            if self._day is not None:
                self._day.take_event(line, cells)
            elif not self._passes_over:
                _refuse(line, sentence("has a 400 record that follows no 300 record."))
            return
        if self._day is not None:
            yield self._day.stretch()
        self._day, self._passes_over = None, False
        take = {
            "100": self._begin_file,
            "200": self._begin_channel,
            "300": self._begin_day,
            "900": _end_file,
        }.get(kind)
        if take is None:
            _refuse(
                line,
                sentence(
                    "begins with {typed}, which is no record of NEM12.", typed=repr(kind[:20])
                ),
            )
        take(line, cells)

    def _begin_file(self, line: int, cells: list[str]) -> None:
        version = cells[1] if len(cells) > 1 else ""
        if version != "NEM12":
            _refuse(
                line,
                sentence("says that the file is {version}, not NEM12.", version=repr(version[:20])),
            )
        self._channel = None

    def _begin_channel(self, line: int, cells: list[str]) -> None:
        self._channel = _Channel.of(line, cells)

    def _begin_day(self, line: int, cells: list[str]) -> None:
        channel = self._channel
        if channel is None:
            _refuse(line, sentence("has a 300 record that follows no 200 record."))
        day = _Day.of(line, cells, channel)
        if day.on >= self.today:
            _refuse(line, sentence("is of {day}, which is not over yet.", day=day.on))
        # The suffix names the series, whatever register of the meter it came from that day.
        key = f"{channel.serial}/{channel.suffix}/{day.on}"
        if key in self._seen:
            before, register = self._seen[key]
            _refuse(
                line,
                sentence("is the same day of the same channel as line {line}.", line=str(before))
                if register == channel.register
                else sentence(
                    "is the same day of the same channel as line {line} (there of register "
                    "{register}).",
                    line=str(before),
                    register=repr(register[:20]),
                ),
            )
        if channel.is_delivered:
            self._seen[key] = line, channel.register
            self._day = day
        else:
            self.left_out[channel.suffix] = self.left_out.get(channel.suffix, 0) + 1
            self._passes_over = True


@dataclass(frozen=True, slots=True)
class _Channel:
    """A 200 record: the intervals below are of this meter and channel."""

    serial: str
    register: str
    suffix: str
    unit: str
    minutes: int

    @classmethod
    def of(cls, line: int, cells: list[str]) -> "_Channel":
        if len(cells) < 9:
            why = nsentence(
                "has {count} cell; a 200 record has at least 9.",
                "has {count} cells; a 200 record has at least 9.",
                len(cells),
            )
            _refuse(line, why)
        _, nmi, _, register, suffix, _, serial, unit, length = cells[:9]
        minutes = int(length) if re.fullmatch("[0-9]{1,2}", length) else 0
        if minutes not in _LENGTHS:
            _refuse(
                line,
                sentence(
                    "says intervals of {length} minutes, not 5, 10, 15, 30 or 60.",
                    length=repr(length[:20]),
                ),
            )
        named = serial or nmi
        if not named or len(named) > _MOST_SERIAL or not named.isprintable():
            _refuse(
                line,
                sentence(
                    "must name its meter by a serial or a NMI, not {typed}.", typed=repr(named[:20])
                ),
            )
        channel = cls(named, register, suffix, unit.upper(), minutes)
        if channel.is_delivered and channel.unit not in _WH_OF:
            _refuse(
                line,
                sentence(
                    "has the unit {unit} of energy, not Wh, kWh or MWh.", unit=repr(unit[:20])
                ),
            )
        return channel

    @property
    def is_delivered(self) -> bool:
        """Whether it is energy from the network; the others are exports, reactive power, volts."""
        return self.suffix.upper().startswith("E")


@dataclass(slots=True)
class _Day:
    """A 300 record, and the 400 records that say more of its quality."""

    line: int
    on: date
    channel: _Channel
    values: list[str]
    flags: list[str]
    described: list[bool]

    @classmethod
    def of(cls, line: int, cells: list[str], channel: _Channel) -> "_Day":
        wanted = 24 * 60 // channel.minutes
        found = len(cells) - _BEFORE_VALUES
        what = sentence(
            "{number} values of {minutes} minutes and their quality",
            number=wanted,
            minutes=channel.minutes,
        )
        if found <= wanted:
            why = nsentence(
                "has {count} cell after its date: {values} must follow.",
                "has {count} cells after its date: {values} must follow.",
                found,
                values=what,
            )
            _refuse(line, why)
        on = _day_of(line, cells[1])
        flag = cells[_BEFORE_VALUES + wanted]
        if _VALUE.fullmatch(flag):
            _refuse(line, sentence("has more values than {values}.", values=what))
        values = cells[_BEFORE_VALUES : _BEFORE_VALUES + wanted]
        _quality(line, flag)
        return cls(line, on, channel, values, [flag] * wanted, [flag != VARIES] * wanted)

    def take_event(self, line: int, cells: list[str]) -> None:
        """A 400 record: the quality of some of the day's intervals, counted from 1."""
        if len(cells) < 4 or not all(re.fullmatch("[0-9]{1,4}", one) for one in cells[1:3]):
            _refuse(line, sentence("must name its first and last interval and their quality."))
        first, last = int(cells[1]), int(cells[2])
        if not 1 <= first <= last <= len(self.values):
            why = sentence(
                "is about the intervals {first} to {last}; the day has 1 to {number}.",
                first=first,
                last=last,
                number=len(self.values),
            )
            _refuse(line, why)
        if cells[3] == VARIES:
            _refuse(line, sentence("must say the quality itself, not V."))
        _quality(line, cells[3])
        for index in range(first - 1, last):
            self.flags[index], self.described[index] = cells[3], True

    def stretch(self) -> Stretch:
        """The day's intervals, once its last 400 record was read."""
        if not all(self.described):
            place = self.described.index(False) + 1
            why = sentence(
                "says that the quality varies (V), and no 400 record says it of interval {place} "
                "of {number}.",
                place=place,
                number=len(self.described),
            )
            _refuse(self.line, why)
        quality = {flag: _quality(self.line, flag) for flag in set(self.flags)}
        numbers = [self._number(index) for index in range(len(self.values))]
        try:
            wh = whole_wh(numbers)
        except TooLarge as error:
            _refuse(self.line, ended(sentence_of(error)))
        start = datetime(self.on.year, self.on.month, self.on.day, tzinfo=MARKET_TIME)
        return Stretch(
            line=self.line,
            serial=self.channel.serial,
            channel=self.channel.suffix,
            start=(start.astimezone(UTC) - EPOCH) // _MINUTE,
            minutes=self.channel.minutes,
            wh=wh,
            quality=[quality[flag] for flag in self.flags],
        )

    def _number(self, index: int) -> Decimal | None:
        if self.flags[index] == NO_VALUE:
            return None
        text = self.values[index]
        if not _VALUE.fullmatch(text):
            place = str(index + 1)
            why = (
                sentence(
                    "interval {place} is {typed}: it must be a number such as 1.25.",
                    place=place,
                    typed=repr(text[:20]),
                )
                if text
                else sentence(
                    "interval {place} is empty: it must be a number such as 1.25.", place=place
                )
            )
            _refuse(self.line, why)
        return Decimal(text) * _WH_OF[self.channel.unit]


def _quality(line: int, flag: str) -> int | None:
    try:
        return quality_of(flag)
    except UnknownFlag as error:
        _refuse(line, ended(sentence_of(error)))


def _day_of(line: int, text: str) -> date:
    try:
        found = date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        found = date.min
    if not _DAY.fullmatch(text) or found < EARLIEST.date():
        _refuse(
            line, sentence("must name its day as in 20260301, not {typed}.", typed=repr(text[:20]))
        )
    return found


def _end_file(_line: int, _cells: list[str]) -> None:
    """Nothing more is in a 900 record."""


def _no_header(kind: str, *, is_first: bool) -> Sentence:
    typed = repr(kind[:20])
    if is_first:
        return sentence(
            "begins with {typed}: the first record of the file must be 100, which names the "
            "format.",
            typed=typed,
        )
    return sentence(
        "begins with {typed}: the record after the end (900) must be 100, which names the format.",
        typed=typed,
    )


def _refuse(line: int, why: str) -> NoReturn:
    raise UnreadableFile(why, row=line)
