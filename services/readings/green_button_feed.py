"""Writing what a meter measured as Green Button XML (ESPI, NAESB REQ.21), a piece at a time.

An Atom feed: the UsagePoint, whose title is the meter's serial; for the register and each length of
intervals a ReadingType and a MeterReading; then IntervalBlocks, one a day of intervals.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import NAMESPACE_URL, uuid5
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from services.quantities.counting import count
from services.quantities.period import start_of_day
from services.records.readings import SeriesDay, SeriesRead

LENGTHS: Final = (15, 30, 60)
_NAMESPACE: Final = uuid5(NAMESPACE_URL, "electricity-billing/green-button")
_ESPI: Final = 'xmlns="http://naesb.org/espi"'
# Codes of ESPI: a register's reading is a bulk quantity, an interval's energy delta data.
_BULK, _DELTA = 1, 4
_HEAD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
<id>{id}</id>
<title>{title}</title>
<updated>{at}</updated>
"""
_ENTRY: Final = """<entry>
<id>{id}</id>
{links}
<title>{title}</title>
<content type="application/xml">
{content}
</content>
<published>{at}</published>
<updated>{at}</updated>
</entry>
"""
_READING_TYPE: Final = """<ReadingType {espi}>
<accumulationBehaviour>{accumulation}</accumulationBehaviour>
<commodity>1</commodity>
<dataQualifier>12</dataQualifier>
<flowDirection>1</flowDirection>
<intervalLength>{seconds}</intervalLength>
<kind>12</kind>
<powerOfTenMultiplier>0</powerOfTenMultiplier>
<timeAttribute>0</timeAttribute>
<uom>72</uom>
</ReadingType>"""
_READING: Final = (
    "<IntervalReading>{quality}<timePeriod><duration>{seconds}</duration><start>{start}</start>"
    "</timePeriod><value>{wh}</value></IntervalReading>"
)
_QUALITY: Final = "<ReadingQuality><quality>{code}</quality></ReadingQuality>"


@dataclass(frozen=True, slots=True)
class GreenButtonFeed:
    """The feed of one meter, whose local days are those of `zone`; `at` is when it is made."""

    meter_id: str
    serial: str
    zone: ZoneInfo
    at: datetime

    def opening(self) -> str:
        """The feed's head, the UsagePoint, and what kinds of readings may follow."""
        kind = f"<UsagePoint {_ESPI}><ServiceCategory><kind>0</kind></ServiceCategory></UsagePoint>"
        title = escape(self.serial)
        head = _HEAD.format(id=self._id(""), title=f"Meter {title}", at=self._now)
        kinds = ((name, minutes) for name, minutes in (("register", 0), *self._lengths()))
        usage_point = self._entry(self._place, self._up(self._place), title, kind, "/MeterReading")
        return head + usage_point + "".join(self._kind(*one) for one in kinds)

    def days(self, days: Sequence[SeriesDay]) -> Iterator[str]:
        """An IntervalBlock for each day; an interval without a value is left out."""
        for day in days:
            seconds = day.minutes * 60
            start = int(start_of_day(day.day, self.zone).timestamp())
            quality = day.quality if len(day.quality) == len(day.wh) else day.quality * len(day.wh)
            readings = [
                _reading(start + place * seconds, seconds, wh, quality[place] if quality else None)
                for place, wh in enumerate(day.wh)
                if wh is not None
            ]
            name = f"{self._place}/MeterReading/{day.minutes}/IntervalBlock"
            end = start_of_day(day.day + timedelta(days=1), self.zone)
            yield self._block(name, day.day, start, int(end.timestamp()), readings)

    def reads(self, reads: Sequence[SeriesRead]) -> Iterator[str]:
        """An IntervalBlock of register readings, if there are any."""
        if not reads:
            return
        times = [int(read.read_at.timestamp()) for read in reads]
        readings = [
            _reading(time, 0, read.register_wh, read.quality)
            for time, read in zip(times, reads, strict=True)
        ]
        name = f"{self._place}/MeterReading/register/IntervalBlock"
        first = reads[0].read_at.astimezone(self.zone).date()
        yield self._block(name, first, times[0], times[-1], readings)

    def closing(self) -> str:
        """The feed's end."""
        return "</feed>\n"

    @property
    def _place(self) -> str:
        return f"/UsagePoint/{self.meter_id}"

    @property
    def _now(self) -> str:
        return f"{self.at:%Y-%m-%dT%H:%M:%SZ}"

    def _lengths(self) -> Iterator[tuple[str, int]]:
        return ((str(minutes), minutes) for minutes in LENGTHS)

    def _kind(self, name: str, minutes: int) -> str:
        accumulation, title = _DELTA, f"Energy by {count(minutes, 'minute')}"
        if not minutes:
            accumulation, title = _BULK, "Register, before the multiplier"
        reading_type = f"{self._place}/ReadingType/{name}"
        content = _READING_TYPE.format(espi=_ESPI, accumulation=accumulation, seconds=minutes * 60)
        own = f"{self._place}/MeterReading/{name}"
        reading = f"<MeterReading {_ESPI}/>"
        related = ("/IntervalBlock", reading_type)
        return self._entry(reading_type, self._up(reading_type), title, content) + self._entry(
            own, self._up(own), title, reading, *related
        )

    def _block(self, up: str, day: date, start: int, end: int, readings: Sequence[str]) -> str:
        interval = f"<interval><duration>{end - start}</duration><start>{start}</start></interval>"
        body = "\n".join([interval, *readings])
        content = f"<IntervalBlock {_ESPI}>\n{body}\n</IntervalBlock>"
        return self._entry(f"{up}/{day}", up, "", content)

    def _entry(self, own: str, up: str, title: str, content: str, *related: str) -> str:
        links = [f'<link rel="self" href="{own}"/>', f'<link rel="up" href="{up}"/>']
        for one in related:
            href = one if one.startswith(self._place) else f"{own}{one}"
            links.append(f'<link rel="related" href="{href}"/>')
        return _ENTRY.format(
            id=self._id(own), links="\n".join(links), title=title, content=content, at=self._now
        )

    @staticmethod
    def _up(own: str) -> str:
        return own.rpartition("/")[0]

    def _id(self, own: str) -> str:
        return f"urn:uuid:{uuid5(_NAMESPACE, self.meter_id + own)}"


def _reading(start: int, seconds: int, wh: int, code: int | None) -> str:
    quality = "" if code is None else _QUALITY.format(code=int(code))
    return _READING.format(quality=quality, seconds=seconds, start=start, wh=wh)
