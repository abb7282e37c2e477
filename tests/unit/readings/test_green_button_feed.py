"""What is written as Green Button is read back as it was, and has the structure of ESPI."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from defusedxml import ElementTree

from services.importing.meter_files.green_button import GreenButtonReader
from services.importing.meter_files.local_days import local_days
from services.quantities.quality import Quality
from services.readings.green_button_feed import GreenButtonFeed
from services.records.readings import SeriesDay, SeriesRead

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
SYDNEY = ZoneInfo("Australia/Sydney")
ATOM, ESPI = "{http://www.w3.org/2005/Atom}", "{http://naesb.org/espi}"
# The order of elements in NAESB's schemas (espiDerived.xsd; espi.xsd of version 4.0 has the same),
# of those that the feed has.
ORDERS = {
    "UsagePoint": ["ServiceCategory"],
    "ReadingType": [
        "accumulationBehaviour", "commodity", "dataQualifier", "flowDirection", "intervalLength",
        "kind", "powerOfTenMultiplier", "timeAttribute", "uom",
    ],
    "IntervalReading": ["ReadingQuality", "timePeriod", "value"],
    "timePeriod": ["duration", "start"],
    "interval": ["duration", "start"],
}  # fmt: skip


def feed(days: list[SeriesDay], reads: list[SeriesRead], serial: str = "M&1 <x>") -> bytes:
    made = GreenButtonFeed("11111111-2222-3333-4444-555555555555", serial, SYDNEY, AT)
    pieces = [made.opening(), *made.reads(reads), *made.days(days), made.closing()]
    return "".join(pieces).encode()


def read(days: int, register_wh: int, quality: int = 17) -> SeriesRead:
    return SeriesRead(
        read_at=AT + timedelta(days=days),
        register_wh=register_wh,
        source="field",
        quality=Quality(quality),
    )


def day(on: str, minutes: int, hours: int = 24, *quality: int) -> SeriesDay:
    count = hours * 60 // minutes
    wh = tuple(100 + place for place in range(count))
    return SeriesDay(day=date.fromisoformat(on), minutes=minutes, wh=wh, quality=quality)


def test_intervals_are_read_back_as_they_were() -> None:
    quality = (8,) * 10 + (0,) * 38
    days = [
        day("2026-03-01", 30, 24, *quality),
        day("2026-03-02", 30, 24, 0),
        day("2026-04-05", 60, 25),
        day("2026-10-04", 15, 23, 9),
    ]
    reads = [read(0, 5)]
    reader = GreenButtonReader()
    found = list(local_days(reader.read(feed(days, reads)), SYDNEY))
    assert reader.left_out == {"of registers": 1}
    assert {row["meter_serial"] for row in found} == {"M&1 <x>"}
    assert [(row["day"], row["minutes"], tuple(row["wh"])) for row in found] == [
        (one.day.isoformat(), one.minutes, one.wh) for one in days
    ]
    assert [row.get("quality") for row in found] == [list(quality), [0], None, [9]]


def test_a_day_in_parts_stays_in_parts() -> None:
    wh = (None,) * 4 + (7,) * 20 + (None,) * 24
    quality = (None,) * 4 + (0,) * 20 + (None,) * 24
    part = SeriesDay(day=date(2026, 3, 1), minutes=30, wh=wh, quality=quality)
    (row,) = local_days(GreenButtonReader().read(feed([part], [])), SYDNEY)
    assert (tuple(row["wh"]), tuple(row["quality"])) == (wh, quality)


def test_the_structure_is_that_of_espi() -> None:
    reads = [read(n, n) for n in range(2)]
    root = ElementTree.fromstring(feed([day("2026-03-01", 30)], reads))
    entries = root.findall(f"{ATOM}entry")
    contents = [one[0] for entry in entries for one in entry.findall(f"{ATOM}content")]
    kinds = [content.tag.removeprefix(ESPI) for content in contents]
    assert kinds == ["UsagePoint", *["ReadingType", "MeterReading"] * 4, *["IntervalBlock"] * 2]
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert len(set(ids)) == len(ids)
    for element in root.iter():
        order = ORDERS.get(element.tag.removeprefix(ESPI))
        if order is not None and element.tag.startswith(ESPI):
            names = [child.tag.removeprefix(ESPI) for child in element]
            assert names == [name for name in order if name in names]
            assert set(order) - {"ReadingQuality"} <= set(names)


def test_a_register_has_its_readings_and_their_quality() -> None:
    reads = [read(0, 1_000_500, 17), read(30, 1_117_000, 8), read(60, 1_200_000, 9)]
    root = ElementTree.fromstring(feed([], reads))
    found = [
        [
            int(one.findtext(f".//{ESPI}{name}") or "")
            for name in ("start", "duration", "value", "quality")
        ]
        for one in root.iter(f"{ESPI}IntervalReading")
    ]
    assert found == [
        [int(one.read_at.timestamp()), 0, one.register_wh, quality]
        for one, quality in zip(reads, (17, 8, 9), strict=True)
    ]


@pytest.mark.parametrize("serial", ["]]>", '"/><a>', "क १"])
def test_a_serial_stays_text(serial: str) -> None:
    first, *_ = GreenButtonReader().read(feed([day("2026-03-01", 60)], [], serial))
    assert first.serial == serial
