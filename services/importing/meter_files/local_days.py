"""From intervals of one meter to local days, as import_intervals takes them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.importing.meter_files.stretches import EPOCH, Stretch
from services.importing.report import moment_in_words
from services.importing.source import UnreadableFile
from services.languages.sentence import N_, sentence
from services.quantities.period import start_of_day
from services.quantities.quality import Quality

_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)
# Shorter intervals are added up to those that tariffs know: a quarter or half of an hour.
_KEPT_AS: Final = {5: 15, 10: 30}
Row = dict[str, Any]
_Slots = list[int | None]


@dataclass(slots=True)
class _LocalDay:
    """A local day of a meter: a slot an interval, channel by channel."""

    line: int
    begin: int
    minutes: int
    size: int
    wh: dict[str, _Slots] = field(default_factory=dict)
    quality: dict[str, _Slots] = field(default_factory=dict)


@dataclass(slots=True)
class MeterDays:
    """The local days of one meter in `zone`. Raises UnreadableFile for what is no whole interval.

    A day that the intervals do not fill has None where they are missing.
    """

    serial: str
    zone: ZoneInfo
    _days: dict[date, _LocalDay] = field(default_factory=dict)

    def add(self, stretch: Stretch) -> None:
        """Put the intervals into their local days."""
        place, count = 0, len(stretch.wh)
        while place < count:
            minute = stretch.start + place * stretch.minutes
            on = (EPOCH + minute * _MINUTE).astimezone(self.zone).date()
            day = self._day(on, stretch)
            first, past = divmod(minute - day.begin, stretch.minutes)
            if past:
                why = N_(
                    "The interval of {minutes} minutes from {begin} (UTC) of meter {serial} does "
                    "not begin a whole number of intervals into the day, in the utility's time "
                    "zone."
                )
                _refuse(stretch, minute, why)
            end = min(count, place + day.size - first)
            self._put(day, first, stretch, place, end)
            place = end

    def rows(self) -> Iterator[Row]:
        """The days in order of time."""
        for on in sorted(self._days):
            day = self._days[on]
            wh, quality = _together(day)
            wh, quality = _kept(day, wh, quality)
            if all(value is None for value in wh):
                continue
            row: Row = {
                "row": day.line,
                "meter_serial": self.serial,
                "day": on.isoformat(),
                "minutes": _KEPT_AS.get(day.minutes, day.minutes),
                "wh": wh,
            }
            if day.quality:
                row["quality"] = shortened(quality)
            yield row

    def _day(self, on: date, stretch: Stretch) -> _LocalDay:
        day = self._days.get(on)
        if day is None:
            begin, end = (
                (start_of_day(one, self.zone) - EPOCH) // _MINUTE for one in (on, on + _DAY)
            )
            size, rest = divmod(end - begin, stretch.minutes)
            if rest:
                why = N_(
                    "The interval of {minutes} minutes from {begin} (UTC) of meter {serial} lies "
                    "across the end of the day, in the utility's time zone."
                )
                _refuse(stretch, begin, why)
            day = self._days[on] = _LocalDay(stretch.line, begin, stretch.minutes, size)
        if day.minutes != stretch.minutes:
            why = N_(
                "The interval of {minutes} minutes from {begin} (UTC) of meter {serial} follows "
                "others of {others} minutes on one day, in the utility's time zone."
            )
            _refuse(stretch, stretch.start, why, others=day.minutes)
        return day

    def _put(self, day: _LocalDay, first: int, stretch: Stretch, place: int, end: int) -> None:
        last = first + end - place
        slots = day.wh.setdefault(stretch.channel, [None] * day.size)
        for index in range(first, last):
            if slots[index] is not None:
                minute = day.begin + index * day.minutes
                why = N_(
                    "The interval of {minutes} minutes from {begin} (UTC) of meter {serial} stands "
                    "in the file already, in the utility's time zone."
                )
                _refuse(stretch, minute, why)
        slots[first:last] = stretch.wh[place:end]
        if stretch.quality is not None:
            qualities = day.quality.setdefault(stretch.channel, [None] * day.size)
            qualities[first:last] = stretch.quality[place:end]


def local_days(stretches: Iterable[Stretch], zone: ZoneInfo) -> Iterator[Row]:
    """The local days of meters whose intervals come one meter after the other.

    Only one meter's are held at a time. Raises UnreadableFile.
    """
    done: set[str] = set()
    current: MeterDays | None = None
    for stretch in stretches:
        if current is None or current.serial != stretch.serial:
            if current is not None:
                yield from current.rows()
                done.add(current.serial)
            if stretch.serial in done:
                raise UnreadableFile(
                    sentence(
                        "The meter {serial} comes a second time, after another: keep its records "
                        "together.",
                        serial=stretch.serial,
                    ),
                    row=stretch.line,
                )
            current = MeterDays(stretch.serial, zone)
        current.add(stretch)
    if current is not None:
        yield from current.rows()


def shortened(quality: Sequence[int | None]) -> Sequence[int | None]:
    """The quality of a day's intervals: one code where it is the same of all."""
    return quality[:1] if None not in quality and len(set(quality)) == 1 else quality


def mixed(codes: Iterable[int | None]) -> int | None:
    """The quality of a sum: what all its parts have, else mixed; None where a part has no value."""
    found = set(codes)
    if None in found or not found:
        return None
    return found.pop() if len(found) == 1 else int(Quality.MIXED)


def _together(day: _LocalDay) -> tuple[_Slots, _Slots]:
    """The channels of a day added up; an interval that one of them lacks is lacking."""
    if len(day.wh) == 1:
        (wh,) = day.wh.values()
        (quality,) = day.quality.values() or ([],)
        return wh, quality
    sums = [_sum(parts) for parts in zip(*day.wh.values(), strict=True)]
    qualities = [day.quality.get(name) or _said_nothing(slots) for name, slots in day.wh.items()]
    return sums, [mixed(codes) for codes in zip(*qualities, strict=True)]


def _said_nothing(slots: _Slots) -> _Slots:
    return [None if wh is None else int(Quality.VALID) for wh in slots]


def _kept(day: _LocalDay, wh: _Slots, quality: _Slots) -> tuple[_Slots, _Slots]:
    longer = _KEPT_AS.get(day.minutes)
    if longer is None:
        return wh, quality
    step = longer // day.minutes
    parts = range(0, day.size, step)
    return (
        [_sum(wh[at : at + step]) for at in parts],
        [mixed(quality[at : at + step]) for at in parts] if quality else [],
    )


def _sum(parts: Sequence[int | None]) -> int | None:
    return None if None in parts else sum(part for part in parts if part is not None)


def _refuse(stretch: Stretch, minute: int, why: str, **more: object) -> None:
    said = sentence(
        why,
        minutes=stretch.minutes,
        begin=moment_in_words(EPOCH + minute * _MINUTE),
        serial=stretch.serial,
        **more,
    )
    raise UnreadableFile(said, row=stretch.line)
