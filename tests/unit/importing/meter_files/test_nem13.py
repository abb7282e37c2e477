"""NEM13's register readings become a table whose rows have the numbers of the file's lines."""

import csv
from pathlib import Path

import pytest

from services.importing.meter_files.nem13 import nem13_table, readings_table
from services.importing.source import UnreadableFile

FILES = Path(__file__).parents[3] / "data" / "meter_data" / "nem12"


def rows(name: str) -> list[list[str]]:
    return list(csv.reader(nem13_table((FILES / name).read_text()).splitlines()))


def test_reads_keep_their_lines_times_and_quality() -> None:
    header, *reads = rows("NEM13_forward_estimate.csv")
    assert header == ["meter_serial", "reading_kwh", "read_at", "quality"]
    at = "2004-04-08T00:00:00+10:00"
    assert reads[:3] == [["MET12345", "000999", at, "8"], [], ["MET5678", "0010015", at, "8"]]
    at = "2004-01-07T10:03:33+10:00"
    assert rows("NEM13_consumption_data.csv")[1] == ["METSER123", "007654.9", at, "0"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("\n900", "", "it was cut off"),
        (",kWh,", ",kVArh,", "readings must be in kWh"),
        ("20040107100333,A", "20041307100333,A", "must say when it was read"),
        ("20040107100333,A", "20040107100333,N", "no value that could be billed"),
        ("20040107100333,A", "20040107100333,Z", "must be A, S, F, E, V or N"),
        (",1312.1,kWh", "", "has 21 cells"),
        (",E,006342", ",I,006342", "no register readings of energy from the network"),
    ],
)
def test_what_is_wrong_is_refused(old: str, new: str, why: str) -> None:
    text = (FILES / "NEM13_consumption_data.csv").read_text()
    assert old in text
    with pytest.raises(UnreadableFile) as caught:
        nem13_table(text.replace(old, new, 1))
    assert why in caught.value.problem.message


def test_intervals_are_sent_to_their_own_import() -> None:
    with pytest.raises(UnreadableFile, match="import it as intervals"):
        readings_table(FILES / "actual_interval.csv")
    assert readings_table("meter_serial,reading_kwh,read_at\nM1,1,2026-03-01") is None
