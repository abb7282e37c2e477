"""Files and names made to cost time, memory or a way out of a folder are refused in a sentence."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pages.shared.format import escaped, file_name
from services.database.embedded.access import ServerAccess, load_access, new_access
from services.importing.report import ImportProblem
from services.importing.source import UnreadableFile
from services.importing.table import read_table
from services.importing.tariff_files import MOST_TARIFF_BYTES, json_of, tariff_rows
from services.tariffs import InvalidTariff, parse_tariff


def test_a_tariff_of_half_a_million_problems_is_refused_at_once() -> None:
    text = json.dumps({"code": "X", "charges": [{"no": 1} for _ in range(500_000)]})
    problems: list[ImportProblem] = []
    began = time.process_time()
    assert tariff_rows(text, problems) == []
    assert time.process_time() - began < 5
    assert len(problems) == 1
    assert "more than 20,000 values" in problems[0].message


def test_only_the_first_problems_of_a_tariff_are_listed() -> None:
    charges = [{"kind": "fixed", "nonsense": 1} for _ in range(300)]
    with pytest.raises(InvalidTariff) as refused:
        parse_tariff({"code": "X", "charges": charges})
    assert len(refused.value.problems) == 101
    assert refused.value.problems[-1][1].endswith("more")


def test_a_list_of_many_wrong_tariffs_stops_early() -> None:
    problems: list[ImportProblem] = []
    tariff_rows(json.dumps([{} for _ in range(20_000)]), problems)
    assert len(problems) < 700
    assert "More is wrong" in problems[-1].message


def test_an_object_of_many_names_is_read_in_time_that_grows_with_them() -> None:
    text = json.dumps({str(n): n for n in range(100_000)})
    began = time.process_time()
    assert len(json_of(text)) == 100_000
    assert time.process_time() - began < 2


def test_a_tariff_file_is_at_most_so_large() -> None:
    with pytest.raises(UnreadableFile, match="20 MB"):
        tariff_rows(b" " * (MOST_TARIFF_BYTES + 1), [])


@pytest.mark.parametrize("name", ["../x", "..", "a/../b", "..\\x", "./x", "."])
def test_an_account_number_is_no_path(name: str) -> None:
    table = read_table(f"account_no\n{name}\n", required=("account_no",))
    for row in table.rows():
        row.identifier("account_no")
    assert "path" in table.problems[0].message


@pytest.mark.parametrize("name", ["A/17", "12..5", "A-1.2"])
def test_slashes_and_dots_are_good_in_an_account_number(name: str) -> None:
    table = read_table(f"account_no\n{name}\n", required=("account_no",))
    assert [row.identifier("account_no") for row in table.rows()] == [name]
    assert not table.problems


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("statement-../x.csv", "statement-..-x.csv"),
        ("../../etc/passwd", "etc-passwd"),
        ("INV-000001.pdf", "INV-000001.pdf"),
        ("..", "file"),
    ],
)
def test_a_download_is_named_without_a_path(name: str, expected: str) -> None:
    assert file_name(name) == expected


@pytest.mark.parametrize(
    "text",
    [
        "sign in at www.evil.example",
        "WWW.evil.example",
        "http://evil.example",
        "HTTPS://e.x",
        "a.b+c@evil.example",
    ],
)
def test_text_of_a_request_becomes_no_link(text: str) -> None:
    shown = escaped(text).replace("\\", "").lower()
    assert not any(address in shown for address in ("www.", "http://", "https://", "@evil"))
    assert escaped(text).replace("\\", "").replace("\u200b", "") == text


@pytest.mark.parametrize("damage", ["", '{"port": 1', "[]", "{}", '{"port": "x"}'])
def test_damaged_passwords_come_back_from_their_copy(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "access.json"
    access = new_access()
    access.save(path)
    path.write_text(damage)
    assert load_access(path) == access
    assert json.loads(path.read_text())["port"] == 0


def test_damaged_passwords_without_a_copy_are_told_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "access.json"
    new_access().save(path)
    for file in tmp_path.iterdir():
        file.write_text(file.read_text()[:20])
    with pytest.raises(ValueError, match=r"is damaged.*backup"):
        load_access(path)


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "access.json"
    access = new_access()
    access.save(path)

    def no_room(_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_room)
    with pytest.raises(OSError, match="No space"):
        ServerAccess(5, "a", "b").save(path)
    assert load_access(path) == access
    assert len(list(tmp_path.iterdir())) == 2
