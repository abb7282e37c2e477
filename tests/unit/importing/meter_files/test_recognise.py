"""What a file of meter data is shows in its content, whatever its name and encoding."""

import io
import zipfile
from pathlib import Path

import pytest

from services.importing.meter_files.interval_source import IntervalSource
from services.importing.meter_files.recognise import meter_format
from services.importing.source import MOST_BYTES, UnreadableFile
from tests.unit.importing.meter_files.test_local_days import KOLKATA, MARCH

FILES = Path(__file__).parents[3] / "data" / "meter_data"
NEM12 = "100,NEM12,200405011135,MDA1,Ret1\n200,N,E1,1,E1,N1,M1,kWh,30,\n"


@pytest.mark.parametrize("path", sorted((FILES / "nem12").iterdir()), ids=lambda path: path.name)
def test_each_good_file_is_known(path: Path) -> None:
    assert meter_format(path) == ("NEM13" if "NEM13" in path.name else "NEM12")


@pytest.mark.parametrize("name", ["NEM12_missing_header.csv", "NEM12_powercor_missing_fields.csv"])
def test_a_file_without_its_header_is_still_known(name: str) -> None:
    assert meter_format(FILES / "nem12_invalid" / name) == "NEM12"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_the_encoding_does_not_matter(encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    assert meter_format((mark + NEM12).encode(encoding)) == "NEM12"
    assert meter_format((mark + "<feed/>").encode(encoding)) == "Green Button"


@pytest.mark.parametrize(
    "text",
    ["meter_serial,start,kwh\nM1,2026-03-01T00:00,1", "100.5,1\n", "", "1000,NEM12", "a\n<b>"],
)
def test_a_table_is_none_of_them(text: str) -> None:
    assert meter_format(text) is None


def test_a_zip_is_known_by_the_names_in_it() -> None:
    for name, is_archive in (("nem12.csv", True), ("[Content_Types].xml", False)):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as made:
            made.writestr(name, "x")
        if is_archive:
            with pytest.raises(UnreadableFile, match="is an archive"):
                meter_format(data.getvalue())
        else:
            assert meter_format(data.getvalue()) is None


def test_a_file_of_200_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as large:
        large.truncate(2 * MOST_BYTES)
    with pytest.raises(UnreadableFile, match="larger than 100 MB"):
        meter_format(path)


def test_letters_of_another_encoding_are_named_by_their_line() -> None:
    data = NEM12.encode() + "300,20260301,é\n900\n".encode("cp1252")
    with pytest.raises(UnreadableFile, match="Line 3 is not UTF-8"):
        IntervalSource.of(data, "NEM12", zone=KOLKATA, now=MARCH)
