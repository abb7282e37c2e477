"""NEM12 as it is delivered is read to the Wh, and whatever is wrong is named by its line."""

import csv
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.importing.meter_files.local_days import local_days
from services.importing.meter_files.nem12 import Nem12Reader
from services.importing.meter_files.stretches import Stretch
from services.importing.source import UnreadableFile

FILES = Path(__file__).parents[3] / "data" / "meter_data"
TODAY = date(2026, 11, 1)
GOOD = sorted(path.name for path in (FILES / "nem12").glob("*.csv") if "NEM13" not in path.name)
HEAD = "100,NEM12,200405011135,MDA1,Ret1"
CHANNEL = "200,NMI1,E1,1,E1,N1,M1,kWh,30,"
VALUES = ",".join(["1.5"] * 48)
DAY = f"300,20260301,{VALUES},A,,,20260302120025,"
BROKEN = {
    "NEM12_15min_200_30min_300.csv": (3, "96 values of 15 minutes and their quality"),
    "NEM12_15min_200_30min_400.csv": (3, "no 400 record says it of interval 49 of 96"),
    "NEM12_30min_200_15min_300.csv": (3, "has more values than 48 values of 30 minutes"),
    "NEM12_empty.csv": (None, "it has no 300 record"),
    "NEM12_incomplete_interval.csv": (3, "has 5 cells after its date"),
    "NEM12_missing_header.csv": (2, "the first record of the file must be 100"),
    "NEM12_powercor_missing_fields.csv": (2, "the first record of the file must be 100"),
    "empty_file.csv": (None, "The file is empty."),
}


def read(*lines: str) -> list[Stretch]:
    return list(Nem12Reader(TODAY).read("\n".join(lines).splitlines(keepends=True)))


def delivered(path: Path) -> dict[str, Decimal]:
    """Wh by meter, added up from the text of a file with no code of the reader's."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    channel: list[str] = []
    for cells in csv.reader(path.read_text().splitlines()):
        if cells[0] == "200":
            channel = cells
        elif cells[0] == "300" and channel[4].startswith("E"):
            values = map(Decimal, cells[2 : 2 + 1440 // int(channel[8])])
            sums[channel[6] or channel[1]] += sum(values) * (1 if channel[7] == "Wh" else 1000)
    return dict(sums)


@pytest.mark.parametrize("zone", ["Australia/Brisbane", "Australia/Sydney", "UTC"])
@pytest.mark.parametrize("name", GOOD)
def test_a_good_file_comes_to_the_sum_of_its_own_figures(name: str, zone: str) -> None:
    path = FILES / "nem12" / name
    with path.open() as lines:
        days = list(local_days(Nem12Reader(TODAY).read(lines), ZoneInfo(zone)))
    found: dict[str, int] = defaultdict(int)
    for day in days:
        found[day["meter_serial"]] += sum(wh or 0 for wh in day["wh"])
    expected = delivered(path)
    assert found
    assert found.keys() == expected.keys()
    for serial, wh in expected.items():
        # A day's fraction of a Wh is rounded with its running total.
        assert abs(found[serial] - wh) <= Decimal("0.5") * len(days)


@pytest.mark.parametrize("name", sorted(path.name for path in (FILES / "nem12_invalid").iterdir()))
def test_a_broken_file_is_refused_with_its_line(name: str) -> None:
    line, why = BROKEN[name]
    with (FILES / "nem12_invalid" / name).open() as lines, pytest.raises(UnreadableFile) as caught:
        list(Nem12Reader(TODAY).read(lines))
    assert caught.value.problem.row == line
    assert why in caught.value.problem.message


@pytest.mark.parametrize(
    ("lines", "row", "why"),
    [
        ([CHANNEL, DAY, "900"], 1, "must be 100"),
        ([HEAD, CHANNEL, DAY], None, "it was cut off"),
        ([HEAD, CHANNEL, DAY, DAY, "900"], 4, "the same day of the same channel as line 3."),
        (
            [HEAD, CHANNEL, DAY, CHANNEL.replace(",1,E1", ",2,E1"), DAY, "900"],
            5,
            "the same day of the same channel as line 3 (there of register '1').",
        ),
        ([HEAD, DAY, "900"], 2, "follows no 200 record"),
        ([HEAD, CHANNEL, "400,1,2,A,,", "900"], 3, "follows no 300 record"),
        ([HEAD, CHANNEL, DAY, "400,0,48,A,,", "900"], 4, "the day has 1 to 48"),
        ([HEAD, CHANNEL, DAY, "400,1,49,A,,", "900"], 4, "the day has 1 to 48"),
        ([HEAD, CHANNEL, DAY, "777", "900"], 4, "no record of NEM12"),
        ([HEAD, CHANNEL, DAY.replace("20260301", "20261301"), "900"], 3, "name its day"),
        ([HEAD, CHANNEL, DAY.replace("20260301", "20261101"), "900"], 3, "not over yet"),
        ([HEAD, CHANNEL, DAY.replace(",A,", ",X,"), "900"], 3, "A, S, F, E, V or N"),
        ([HEAD, CHANNEL, DAY.replace("1.5", "-1.5", 1), "900"], 3, "interval 1 is '-1.5'"),
        ([HEAD, CHANNEL, DAY.replace("1.5", "", 1), "900"], 3, "interval 1 is empty"),
        ([HEAD, CHANNEL, DAY.replace("1.5", "\u0661", 1), "900"], 3, "interval 1 is"),
        ([HEAD, CHANNEL, DAY.replace("1.5", "\u0967.5", 1), "900"], 3, "interval 1 is"),
        ([HEAD, CHANNEL, DAY.replace("1.5", "1e9", 1), "900"], 3, "interval 1 is '1e9'"),
        ([HEAD, CHANNEL, DAY.replace("1.5", "=1+1", 1), "900"], 3, "interval 1 is '=1+1'"),
        ([HEAD, CHANNEL, DAY.replace("1.5", "9999999999", 1), "900"], 3, "larger than any meter"),
        ([HEAD, CHANNEL.replace("30", "7"), DAY, "900"], 2, "not 5, 10, 15, 30 or 60"),
        ([HEAD, CHANNEL.replace("kWh", "kVA"), DAY, "900"], 2, "not Wh, kWh or MWh"),
        ([HEAD, CHANNEL.replace("M1", "").replace("NMI1", ""), DAY, "900"], 2, "serial or a NMI"),
        ([HEAD.replace("NEM12", "NEM14"), CHANNEL, DAY, "900"], 1, "'NEM14', not NEM12"),
    ],
)
def test_what_is_wrong_is_named_by_its_line(lines: list[str], row: int | None, why: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read(*lines)
    assert caught.value.problem.row == row
    assert why in caught.value.problem.message


def test_each_interval_has_the_quality_that_is_said_of_it() -> None:
    day = DAY.replace(",A,", ",V,")
    events = ["400,1,10,A,,", "400,11,20,S14,76,", "400,21,30,E64,,", "400,31,40,F13,,"]
    (found,) = read(HEAD, CHANNEL, day, *events, "400,41,48,N,,", "900")
    assert found.quality == [0] * 10 + [9] * 10 + [8] * 10 + [7] * 10 + [None] * 8
    assert found.wh == [1500] * 40 + [None] * 8


def test_a_fraction_of_a_wh_is_not_lost() -> None:
    (found,) = read(HEAD, CHANNEL, DAY.replace("1.5", "0.0005"), "900")
    assert sum(wh or 0 for wh in found.wh) == 24


def test_what_the_customer_delivers_is_counted_and_left_out() -> None:
    reader = Nem12Reader(TODAY)
    solar = CHANNEL.replace(",E1,N1", ",B1,N1")
    lines = (HEAD, CHANNEL, DAY, solar, DAY, "400,1,2,A,,", "900")
    assert len(list(reader.read(f"{line}\n" for line in lines))) == 1
    assert reader.left_out == {"B1": 1}


def test_a_series_goes_on_under_another_register() -> None:
    other = CHANNEL.replace(",1,E1", ",2,E1")
    found = read(HEAD, CHANNEL, DAY, other, DAY.replace("20260301", "20260302"), "900")
    days = list(local_days(found, ZoneInfo("UTC")))
    # The middle one has ten hours of the first register and fourteen of the second.
    assert [day["wh"].count(1500) for day in days] == [20, 48, 28]
