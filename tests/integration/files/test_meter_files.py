"""Files of the metering trade from import to what is stored: sums, quality, parts of days."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from services.identity.auth import NotAllowed
from services.importing import Importer
from services.importing.file_imports import FileAnswers
from services.importing.source import UnreadableFile
from services.quantities.period import Period
from services.records.intervals import IntervalDays
from tests.integration.utility import ACTOR, ADMIN, ENGINEER, Utility, make_utility

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
FILES = Path(__file__).parents[2] / "data" / "meter_data"
BRISBANE, SYDNEY = ZoneInfo("Australia/Brisbane"), ZoneInfo("Australia/Sydney")
# The energy (channels E) of each meter, added up by hand from the files' own figures: kWh.
DELIVERED = {
    "actual_interval.csv": {"METSER123": 53_328},
    "different_interval_length.csv": {"C123": 374_000},
    "month_solar.csv": {"SERNO1234": 270_738},
    "multiple_meters.csv": {"METSER123": 1_920, "METSER456": 19_200},
    "multiple_quality.csv": {"METSER123": 896_990},
    "no_scheduled_read.csv": {"METER_SN": 5_840},
    "substituted_interval.csv": {"METSER223": 110_976},
}


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=NOW)
    yield made
    made.services.close()


@pytest.fixture
def importer(utility: Utility) -> Importer:
    return Importer(utility.services.database, BRISBANE)


def stored(database: str) -> dict[str, int]:
    """Wh by meter, of the latest version of each day."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select m.serial, (select sum(v) from unnest(i.wh) v) from public.meters m join ("
            "  select distinct on (meter_id, day) * from public.intervals"
            "  order by meter_id, day, id desc) i on i.meter_id = m.id"
        ).fetchall()
    sums: dict[str, int] = {}
    for serial, wh in rows:
        sums[serial] = sums.get(serial, 0) + wh
    return sums


def nem12(*days: str, serial: str = "M1", quality: str = "A", value: str = "1.5") -> str:
    values = ",".join([value] * 48)
    lines = [f"300,{day},{values},{quality},,,,," for day in days]
    head = ["100,NEM12,200405011135,MDA1,Ret1", f"200,NMI1,E1,1,E1,N1,{serial},kWh,30,"]
    return "\n".join([*head, *lines, "900\n"])


@pytest.mark.parametrize("name", sorted(DELIVERED))
@pytest.mark.parametrize("zone", [BRISBANE, SYDNEY], ids=str)
def test_what_is_stored_is_what_the_file_says(
    utility: Utility, database: str, name: str, zone: ZoneInfo
) -> None:
    for serial in DELIVERED[name]:
        utility.add_meter(serial)
    importer = Importer(utility.services.database, zone)
    path = FILES / "nem12" / name
    report = importer.run("intervals", path, actor=ACTOR, now=NOW)
    assert report.errors == ()
    assert stored(database) == DELIVERED[name]
    again = importer.run("intervals", path, actor=ACTOR, now=NOW)
    assert (again.added, again.changed, again.unchanged) == (0, 0, report.added)


@pytest.mark.parametrize("path", sorted((FILES / "nem12_invalid").iterdir()), ids=lambda p: p.name)
def test_a_broken_file_leaves_nothing(
    utility: Utility, importer: Importer, database: str, path: Path
) -> None:
    utility.add_meter("METSER123")
    report = importer.run("intervals", path, actor=ACTOR, now=NOW)
    assert len(report.errors) == 1
    assert stored(database) == {}


def test_unknown_serials_are_all_named_and_nothing_is_stored(
    utility: Utility, importer: Importer, database: str
) -> None:
    utility.add_meter("M1")
    two = nem12("20260301").removesuffix("900\n") + "\n".join(
        line
        for serial in ("X1", "X2")
        for line in nem12("20260301", serial=serial).splitlines()[1:3]
    )
    report = importer.run("intervals", two + "\n900\n", actor=ACTOR, now=NOW)
    assert [str(problem) for problem in report.errors] == [
        "row 5, meter_serial: No meter has the serial X1.",
        "row 7, meter_serial: No meter has the serial X2.",
    ]
    assert stored(database) == {}


def test_parts_of_a_day_come_together_and_are_then_whole(utility: Utility, database: str) -> None:
    utility.add_meter("M1")
    importer = Importer(utility.services.database, SYDNEY)
    first = importer.run("intervals", nem12("20260301"), actor=ACTOR, now=NOW)
    assert (first.added, first.changed) == (2, 0)
    assert "2 local days are not whole" in str(first.remarks)
    second = importer.run("intervals", nem12("20260302"), actor=ACTOR, now=NOW)
    assert (second.added, second.changed) == (1, 1)
    with psycopg.connect(database) as connection:
        whole = connection.execute(
            "select private.interval_days(service_point_id, '-infinity', 'infinity')"
            " from public.meter_installations"
        ).fetchone()
    assert whole is not None
    (day,) = IntervalDays.unpacked(whole[0])
    assert (str(day.day), day.wh, day.quality) == ("2026-03-02", (1500,) * 48, (0,) * 48)
    # The part alone says nothing against what is whole.
    again = importer.run("intervals", nem12("20260301"), actor=ACTOR, now=NOW)
    assert (again.added, again.changed) == (0, 0)


def test_what_changes_of_a_known_day_is_said_before(utility: Utility, importer: Importer) -> None:
    utility.add_meter("M1")
    assert importer.run("intervals", nem12("20260301"), actor=ACTOR, now=NOW).ok
    other = nem12("20260301", quality="S14").replace("1.5,1.5", "1.5,2.5", 1)
    looked = replace(importer, dry_run=True).run("intervals", other, actor=ACTOR, now=NOW)
    assert [(d.name, d.before, d.after) for d in looked.differences] == [
        ("M1, 2026-03-01", "72 in 48 of 30 minutes", "73 in 48 of 30 minutes, 1 value differs")
    ]
    assert "48 estimated by interpolation" in str(looked.remarks)
    estimated = nem12("20260301", quality="E52")
    looked = replace(importer, dry_run=True).run("intervals", estimated, actor=ACTOR, now=NOW)
    assert looked.differences[0].after == "72 in 48 of 30 minutes, of another quality"


def test_green_button_asks_which_meter_it_is_of(utility: Utility, database: str) -> None:
    utility.add_meter("M1")
    importer = Importer(utility.services.database, ZoneInfo("America/New_York"))
    path = FILES / "green_button_hourly_nine_days.xml"
    report = importer.run("intervals", path, actor=ACTOR, now=NOW)
    assert report.asks == {"meter"}
    assert "No meter has the serial Green Button Sample Data File." in str(report.errors[0])
    assert stored(database) == {}
    report = replace(importer, meter="M1").run("intervals", path, actor=ACTOR, now=NOW)
    assert (report.errors, report.added) == ((), 9)
    assert stored(database) == {"M1": 199_563}


def test_nem13_brings_readings_and_estimates_count_as_such(
    utility: Utility, importer: Importer, database: str
) -> None:
    for serial in ("MET12345", "MET5678"):
        utility.add_meter(serial, opening_kwh=880, opened_on=date(2026, 1, 8), dials=6)
    text = (FILES / "nem12" / "NEM13_forward_estimate.csv").read_text()
    # As published, but of this year, and the second meter with the first one's value.
    text = text.replace("0010015,", "0000999,").replace("20040408000000", "20260308000000")
    report = importer.run("readings", text, actor=ACTOR, now=NOW)
    assert (report.errors, report.added) == ((), 2)
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select register_wh, read_at, source, validation ->> 'quality' from public.readings"
            " where not is_opening order by id"
        ).fetchall()
    at = datetime(2026, 3, 7, 14, tzinfo=UTC)
    assert rows == [(999_000, at, "estimated", "8")] * 2
    wrong = importer.run("intervals", text, actor=ACTOR, now=NOW)
    assert "import it as readings" in str(wrong.errors[0])


@pytest.mark.parametrize("what", ["intervals", "readings"])
def test_an_archive_is_refused_without_unpacking_it(importer: Importer, what: str) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nem12.csv", b"0" * 60_000_000)
    report = importer.run(what, bomb.getvalue(), actor=ACTOR, now=NOW)  # type: ignore[arg-type]
    assert len(report.errors) == 1
    assert "is an archive: unpack it" in report.errors[0].message


def test_a_table_may_say_the_quality_of_its_rows(
    utility: Utility, importer: Importer, database: str
) -> None:
    utility.add_meter("M1")
    rows = [f"M1,2026-03-01T{hour:02}:00,0.5,{8 if hour < 2 else ''}" for hour in range(24)]
    text = "\n".join(["meter_serial,start,kwh,quality", *rows])
    assert importer.run("intervals", text, actor=ACTOR, now=NOW).ok
    with psycopg.connect(database) as connection:
        found = connection.execute("select quality from public.intervals").fetchone()
    assert found == ([8] * 2 + [0] * 22,)
    report = importer.run("intervals", text.replace(",8", ",5"), actor=ACTOR, now=NOW)
    assert "must be a code of ESPI" in str(report.errors[0])


def test_the_office_sees_what_a_file_is_before_it_is_imported(utility: Utility) -> None:
    utility.add_meter("M1")
    imports = utility.services.imports
    content = nem12("20260301").encode()
    assert imports.look("intervals", content, principal=ADMIN).format == "NEM12"
    with pytest.raises(UnreadableFile, match="import it as intervals"):
        imports.look("readings", content, principal=ADMIN)
    report = imports.check("intervals", content, answers=FileAnswers(), principal=ADMIN, now=NOW)
    assert report.ok
    assert report.dry_run
    assert "Read as NEM12" in json.dumps([remark.message for remark in report.remarks])


def test_what_is_exported_is_what_was_imported(utility: Utility, database: str) -> None:
    meter = utility.add_meter("M1")
    zone = utility.services.settings.timezone
    importer = Importer(utility.services.database, zone)
    events = "400,1,10,A,,\n400,11,48,S14,76,\n900\n"
    text = nem12("20260301", "20260302", quality="V").replace("900\n", events)
    text = text.replace("V,,,,,\n300", "V,,,,,\n" + events.removesuffix("900\n") + "300")
    assert importer.run("intervals", text, actor=ACTOR, now=NOW).ok
    days = Period(date(2026, 2, 1), date(2026, 3, 10))
    lookups = utility.services.readings
    asked: dict[str, Any] = {"meter_id": meter, "days": days, "now": NOW}
    feed = b"".join(lookups.green_button(principal=ADMIN, **asked))
    with psycopg.connect(database) as connection:
        before = connection.execute("select count(*) from public.intervals").fetchone()
    again = importer.run("intervals", feed, actor=ACTOR, now=NOW)
    assert (again.errors, again.added, again.changed, again.unchanged) == ((), 0, 0, 3)
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from public.intervals").fetchone() == before
    with pytest.raises(NotAllowed):
        lookups.green_button(principal=ENGINEER, **asked)
    with pytest.raises(ValueError, match="at most five years"):
        lookups.green_button(
            principal=ADMIN, **asked | {"days": Period(date(2020, 1, 1), date(2026, 1, 1))}
        )
