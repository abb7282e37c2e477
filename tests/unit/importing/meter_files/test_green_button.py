"""Green Button is read as published, and a feed that is wrong, or hostile, is refused."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from defusedxml import ElementTree

from services.importing.meter_files.green_button import GreenButtonReader, _Pieces
from services.importing.meter_files.local_days import local_days
from services.importing.source import UnreadableFile

SAMPLE = Path(__file__).parents[3] / "data" / "meter_data" / "green_button_hourly_nine_days.xml"
ESPI = "{http://naesb.org/espi}"


def test_the_published_sample_comes_to_its_own_total() -> None:
    data = SAMPLE.read_bytes()
    days = list(local_days(GreenButtonReader("M1").read(data), ZoneInfo("America/New_York")))
    total = ElementTree.fromstring(data).find(f".//{ESPI}overallConsumptionLastPeriod/{ESPI}value")
    assert total is not None
    assert sum(sum(day["wh"]) for day in days) == int(total.text or "")
    assert [len(day["wh"]) for day in days] == [24] * 9
    assert "quality" not in days[0]


def test_without_a_serial_the_title_of_the_usage_point_names_the_meter() -> None:
    first, *_ = GreenButtonReader().read(SAMPLE.read_bytes())
    assert first.serial == "Green Button Sample Data File"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("<value>273</value>", "<value>-273</value>", "it cannot be negative"),
        ("<value>273</value>", "<value>2,73</value>", "it must be a whole number"),
        ("<value>273</value>", "<value>\u0967\u0968</value>", "it must be a whole number"),
        ("<value>273</value>", "<value>9999999999</value>", "larger than any meter"),
        ("<duration>3600</duration>", "<duration>3601</duration>", "whole minutes"),
        ("/ReadingType/3", "/ReadingType/4", "whose ReadingType is not in the feed"),
        ("</feed>", "", "The XML of the file is broken near line"),
        ("<feed", '<!DOCTYPE feed [<!ENTITY a "b">]><feed', "declares XML entities"),
        ("<feed", '<!DOCTYPE feed SYSTEM "file:///etc/passwd"><feed', "declares XML entities"),
    ],
)
def test_what_is_wrong_is_refused(old: str, new: str, why: str) -> None:
    text = SAMPLE.read_text()
    assert old in text
    with pytest.raises(UnreadableFile) as caught:
        list(GreenButtonReader("M1").read(text.replace(old, new, 1).encode()))
    assert why in str(caught.value)


@pytest.mark.parametrize("encoding", ["no-such", "utf-7", "shift_jis", "idna", "hex"])
def test_an_encoding_that_cannot_be_read_is_refused(encoding: str) -> None:
    feed = f'<?xml version="1.0" encoding="{encoding}"?><feed/>'
    with pytest.raises(UnreadableFile, match="export it as UTF-8"):
        list(GreenButtonReader("M1").read(feed.encode()))


def test_a_long_text_is_looked_at_in_few_pieces() -> None:
    """Expat reads a text again with each piece: in pieces of 16 kB, 20 MB took a minute."""
    assert len(_Pieces(b"x" * 3_000_000).read(16 * 1024)) >= 1_000_000


def test_another_feed_is_no_interval_data() -> None:
    with pytest.raises(UnreadableFile) as caught:
        list(GreenButtonReader("M1").read(b"<feed xmlns='http://www.w3.org/2005/Atom'/>"))
    assert "no Green Button feed" in str(caught.value)


def test_the_quality_of_a_reading_is_taken() -> None:
    said = "<ReadingQuality><quality>8</quality></ReadingQuality>"
    text = SAMPLE.read_text().replace("<value>273</value>", f"{said}<value>273</value>", 1)
    first, *_ = GreenButtonReader("M1").read(text.encode())
    assert first.quality is not None
    assert list(first.quality) == [8, *[0] * 23]


def test_what_flows_back_is_counted_and_left_out() -> None:
    reader = GreenButtonReader("M1")
    text = SAMPLE.read_text().replace("<flowDirection>1<", "<flowDirection>19<")
    assert not list(reader.read(text.encode()))
    assert reader.left_out == {"of other quantities": 9}
