"""A NEM12 or Green Button file as local days of meters: streamed, as often as it is asked for."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.importing.meter_files.green_button import (
    OF_OTHER_QUANTITIES,
    OF_REGISTERS,
    GreenButtonReader,
)
from services.importing.meter_files.local_days import Row, local_days
from services.importing.meter_files.nem12 import MARKET_TIME, Nem12Reader
from services.importing.meter_files.recognise import MeterFormat
from services.importing.meter_files.stretches import EPOCH, Stretch
from services.importing.source import (
    Source,
    UnreadableFile,
    read_bytes,
    read_lines,
)
from services.languages.sentence import N_, Sentence, joined, nsentence, sentence
from services.quantities.quality import Quality
from services.readings.submission import EARLIEST

_ZONE_OF_FILE: Final[Mapping[MeterFormat, str]] = {
    "NEM12": N_(
        "Read as {format}: its times are those of the market, ten hours ahead of UTC, its days "
        "become those of {zone}."
    ),
    "Green Button": N_("Read as {format}: its times are UTC, its days become those of {zone}."),
}


@dataclass
class LookedThrough:
    """What a file holds: how many days, of which meters with their first line, and remarks."""

    days: int = 0
    serials: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class IntervalSource:
    """A file and how it is read. `days` and `looked_through` raise UnreadableFile."""

    format: MeterFormat
    zone: ZoneInfo
    now: datetime
    _reading: Callable[[], tuple[Iterator[Stretch], Mapping[str, int]]]

    @classmethod
    def of(
        cls,
        source: Source,
        found: MeterFormat,
        *,
        zone: ZoneInfo,
        now: datetime,
        serial: str | None = None,
        reader: GreenButtonReader | None = None,
    ) -> "IntervalSource":
        """The file, whose bytes are read once. Raises UnreadableFile.

        With `reader` it is a page of a feed, whose pages before that one has read.
        """
        if found == "Green Button":
            data = source.encode() if isinstance(source, str) else read_bytes(source)

            def feed() -> tuple[Iterator[Stretch], Mapping[str, int]]:
                found = reader or GreenButtonReader(serial)
                return found.read(data), found.left_out

            return cls(found, zone, now, feed)
        lines = read_lines(source)

        def records() -> tuple[Iterator[Stretch], Mapping[str, int]]:
            reader = Nem12Reader(now.astimezone(MARKET_TIME).date())
            return reader.read(lines.walk()), reader.left_out

        return cls(found, zone, now, records)

    def days(self) -> Iterator[Row]:
        """The local days, one meter after the other."""
        return local_days(self._checked(self._reading()[0]), self.zone)

    def first(self) -> Stretch:
        """The first intervals, to be shown."""
        return next(self._checked(self._reading()[0]))

    def looked_through(self) -> LookedThrough:
        """The whole file, read to its end."""
        read = sentence(_ZONE_OF_FILE[self.format], format=self.format, zone=self.zone.key)
        found = LookedThrough(remarks=[read])
        stretches, left_out = self._reading()
        lengths: set[int] = set()
        partial: list[Sentence] = []
        intervals = 0
        qualities: Counter[int] = Counter()
        for row in local_days(self._noting(stretches, lengths), self.zone):
            found.days += 1
            found.serials.setdefault(row["meter_serial"], row["row"])
            present = [wh is not None for wh in row["wh"]]
            intervals += sum(present)
            if not all(present):
                on, serial = date.fromisoformat(row["day"]), row["meter_serial"]
                partial.append(sentence("{day} of meter {serial}", day=on, serial=serial))
            _count_quality(row, qualities, sum(present))
        found.remarks += _remarks(left_out, lengths, partial, qualities, intervals)
        return found

    def _checked(self, stretches: Iterator[Stretch]) -> Iterator[Stretch]:
        latest = (self.now - EPOCH).total_seconds() // 60
        for one in stretches:
            if one.start + len(one.wh) * one.minutes > latest:
                ends = sentence(
                    "Meter {serial} has intervals that end in the future.", serial=one.serial
                )
                raise UnreadableFile(ends, row=one.line)
            if one.start < _EARLIEST:
                begins = sentence(
                    "Meter {serial} has intervals from before 1990.", serial=one.serial
                )
                raise UnreadableFile(begins, row=one.line)
            yield one

    def _noting(self, stretches: Iterator[Stretch], lengths: set[int]) -> Iterator[Stretch]:
        for one in self._checked(stretches):
            lengths.add(one.minutes)
            yield one


# What Green Button has beside channels of energy, which are named by the file.
_CHANNELS: Final = {
    OF_REGISTERS: sentence(OF_REGISTERS),
    OF_OTHER_QUANTITIES: sentence(OF_OTHER_QUANTITIES),
}
_EARLIEST: Final = (EARLIEST - EPOCH) // timedelta(minutes=1)


def _count_quality(row: Row, counted: Counter[int], intervals: int) -> None:
    quality = row.get("quality") or []
    if len(quality) == 1:
        counted[quality[0] or 0] += intervals
    else:
        counted.update(code for code in quality if code is not None)


def _remarks(
    left_out: Mapping[str, int],
    lengths: set[int],
    partial: list[Sentence],
    qualities: Counter[int],
    intervals: int,
) -> Iterator[str]:
    for name, days in sorted(left_out.items()):
        yield nsentence(
            "Left out: {count} record of channel {channel}, which is not energy that the network "
            "delivered.",
            "Left out: {count} records of channel {channel}, which is not energy that the network "
            "delivered.",
            days,
            channel=_CHANNELS.get(name, name),
        )
    for minutes, kept in ((5, 15), (10, 30)):
        if minutes in lengths:
            yield sentence(
                "Intervals of {minutes} minutes are kept as sums of {kept}.",
                minutes=minutes,
                kept=kept,
            )
    unsure = {code: n for code, n in sorted(qualities.items()) if not Quality(code).is_actual}
    if unsure:
        parts = [
            sentence("{number} {quality}", number=n, quality=sentence(Quality(code).words))
            for code, n in unsure.items()
        ]
        yield nsentence(
            "Of {count} interval: {parts}.",
            "Of {count} intervals: {parts}.",
            intervals,
            parts=joined(parts),
        )
    if partial:
        yield nsentence(
            "{count} local day is not whole in the file, such as {day}. What is there is kept; a "
            "day is billed once the rest of it is there.",
            "{count} local days are not whole in the file, such as {day}. What is there is kept; "
            "a day is billed once the rest of it is there.",
            len(partial),
            day=partial[0],
        )
