"""check-readings: a file judged as the system would judge it, without a database."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services import __main__ as command_line
from services.importing.by_kind.reading_check import CheckedReading, ReadingCheck

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HEADER = "meter_serial,reading_kwh,read_at"


def month(n: int) -> str:
    return f"{2025 + n // 12}-{n % 12 + 1:02d}-01T10:00"


def rows(serial: str, values: list[int], more: str = "") -> list[str]:
    return [f"{serial},{value},{month(n)}{more}" for n, value in enumerate(values)]


def check(
    lines: list[str], header: str = HEADER, *, reviewed: bool = False
) -> list[CheckedReading]:
    one = ReadingCheck(zone=ZoneInfo("Asia/Kolkata"), now=NOW, reviewed=reviewed)
    return one.check("\n".join([header, *lines]))


def verdicts(lines: list[str], header: str = HEADER, *, reviewed: bool = False) -> list[str]:
    return [one.validation.verdict for one in check(lines, header, reviewed=reviewed)]


STEADY = [1000 + 300 * n for n in range(10)]


def test_the_opening_read_and_steady_reads_are_accepted() -> None:
    found = check(rows("A", STEADY))
    assert [one.row for one in found] == list(range(2, 12))
    assert {one.validation.verdict for one in found} == {"accepted"}
    assert found[0].to_json() == {
        "row": 2,
        "meter_serial": "A",
        "verdict": "accepted",
        "rules": [],
    }
    assert [rule["rule"] for rule in found[-1].to_json()["rules"]] == [
        "below_last_read",
        "high_use",
        "zero_use",
        "low_use",
        "above_connected_load",
    ]
    assert set(found[-1].to_json()["rules"][0]) == {"rule", "outcome", "message"}


def test_a_doubted_read_waits_and_the_next_is_judged_by_the_one_before() -> None:
    wrong = [*STEADY[:6], STEADY[5] + 3000, *STEADY[7:]]
    assert verdicts(rows("A", wrong)) == ["accepted"] * 6 + ["needs_review"] + ["accepted"] * 3


def test_reviewed_a_doubted_read_counts_as_a_person_says() -> None:
    """A new machine: 900 kWh a month instead of 300, which somebody knows of."""
    more = [*STEADY, *(STEADY[-1] + 900 * n for n in range(1, 4))]
    header = f"{HEADER},true"
    for said, expected in (("yes", ["needs_review", "accepted", "accepted"]),):
        lines = rows("A", more, f",{said}")
        assert verdicts(lines, header, reviewed=True)[-3:] == expected
    # Rejected, nothing of it is remembered: each further one is doubted by the old use.
    lines = rows("A", more, ",no")
    assert verdicts(lines, header, reviewed=True)[-3:] == ["needs_review"] * 3


def test_reviewed_an_empty_cell_leaves_a_doubted_read_waiting() -> None:
    more = [*STEADY, *(STEADY[-1] + 900 * n for n in range(1, 4))]
    lines = rows("A", more, ",")
    found = verdicts(lines, f"{HEADER},true", reviewed=True)
    assert found == verdicts(rows("A", more))
    assert found[:10] == ["accepted"] * 10


def test_the_order_of_rows_does_not_decide_what_a_first_reading_is_compared_with() -> None:
    """A quarter of the meters use 60 kWh a day: theirs are no rare uses, wherever they stand."""
    lines = [
        f"M{meter},{value},{month(n)}"
        for meter in range(40)
        for n, value in enumerate((0, 1800 if meter < 10 else 200))
    ]
    assert set(verdicts(lines)) == {"accepted"}
    assert set(verdicts(lines[::-1])) == {"accepted"}


def test_rows_are_judged_in_the_order_of_time_and_answered_in_the_files() -> None:
    lines = rows("A", STEADY)
    turned = check([*lines[5:], *lines[:5]])
    assert [one.row for one in turned] == list(range(2, 12))
    assert {one.validation.verdict for one in turned} == {"accepted"}


def test_a_meter_has_its_dials_multiplier_and_load() -> None:
    header = f"{HEADER},dials,multiplier,connected_kw"
    for constants in (",4,1,5", ",4.0,1.0,5.0"):
        rolled = rows("A", [*range(9400, 9999, 100), 30, 130], constants)
        assert verdicts(rolled, header) == ["accepted"] * 8
    # 300 kWh of the register are 12,000 with the multiplier: more than 5 kW can use.
    found = check(rows("B", [1000, 1300], ",5,40,5"), header)[1].validation
    assert "above_connected_load" in {o.rule for o in found.outcomes if o.outcome == "review"}


def test_without_dials_two_reads_say_how_many_a_meter_has() -> None:
    assert verdicts(rows("A", [99_400, 99_700, 100_000, 100_300])) == ["accepted"] * 4
    slipped = check(rows("A", [*STEADY, 39_000_00]))[-1].validation
    assert [o.rule for o in slipped.outcomes] == ["too_many_digits"]
    assert slipped.verdict == "needs_review"


def test_a_first_row_that_the_meter_cannot_show_does_not_open_it() -> None:
    found = check(rows("A", [99_999_999, *STEADY]))
    assert [o.rule for o in found[0].validation.outcomes] == ["too_many_digits"]
    assert {one.validation.verdict for one in found[1:]} == {"accepted"}


def test_a_rollover_says_how_few_digits_a_meter_has() -> None:
    reads = [9100, 9400, 9700, 11, 300, 600]
    assert verdicts(rows("A", reads)) == ["accepted"] * 6


def test_rows_that_are_refused_as_they_are_read_name_their_meter() -> None:
    found = check([*rows("A", STEADY[:2]), "A,1 2 3,2025-03-01", 'A,"1,117",2025-04-01'])
    assert [one.serial for one in found] == ["A"] * 4
    (last,) = found[-1].validation.outcomes
    assert (last.rule, last.outcome) == ("unusable", "review")
    assert not last.message.startswith("row")


def test_two_meters_swapped_on_one_day_are_named_to_each_other() -> None:
    a, b = [1000 + 300 * n for n in range(8)], [60_000 + 280 * n for n in range(8)]
    a[6], b[6] = b[6], a[6]
    found = [one.validation for one in check([*rows("A", a), *rows("B", b)])]
    assert [v.verdict for v in found].count("needs_review") == 2
    for at, other in ((6, "B"), (14, "A")):
        (swap,) = (o for o in found[at].outcomes if o.rule == "swapped_meters")
        assert f"meter {other}" in swap.message


def test_rows_that_are_no_readings_need_a_person_who_is_told_why() -> None:
    lines = [*rows("A", STEADY[:3]), "A,-5,2025-04-01", "A,x,2025-05-01", "A,2000", ",5,2025-06-01"]
    found = check([*lines, "A,2500,2099-01-01", f"A,1700,{month(1)}"])
    problems = [o.message for one in found for o in one.validation.outcomes if o.rule == "unusable"]
    assert len(found) == 9
    assert len(problems) == 6
    assert "cannot be negative" in problems[0]
    assert "in the future" in problems[4]
    assert "Another value is stored" in problems[5]


def test_the_same_reading_twice_is_no_doubt() -> None:
    assert verdicts([*rows("A", STEADY), f"A,{STEADY[3]},{month(3)}"]) == ["accepted"] * 11


@pytest.mark.parametrize(
    ("header", "cell", "said"),
    [("dials", "12", "from 3 to 9"), ("multiplier", "0", "more than 0"), ("true", "2", "")],
)
def test_bad_constants_are_named(header: str, cell: str, said: str) -> None:
    found = check([f"A,1000,{month(0)},{cell}"], f"{HEADER},{header}")
    assert said in "".join(o.message for o in found[0].validation.outcomes)
    assert bool(said) == (found[0].validation.verdict == "needs_review")


def run(
    file: Path, *more: str, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[dict[str, Any]], str]:
    code = command_line.main(["check-readings", str(file), *more])
    said = capsys.readouterr()
    return code, [json.loads(line) for line in said.out.splitlines()], said.err


def test_the_command_prints_an_object_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "readings.csv"
    file.write_text("\n".join([HEADER, *rows("A", [1000, 1300, 1200])]), encoding="utf-8")
    code, found, said = run(file, capsys=capsys)
    assert (code, said) == (0, "")
    assert [one["verdict"] for one in found] == ["accepted", "accepted", "needs_review"]


def test_the_answer_is_ascii_whatever_a_serial_is_written_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal or a pipe of another encoding takes it too."""
    file = tmp_path / "readings.csv"
    file.write_text(f"{HEADER}\n\u0645\u0661,1000,{month(0)}", encoding="utf-8")
    assert command_line.main(["check-readings", str(file)]) == 0
    said = capsys.readouterr().out
    assert said.isascii()
    assert json.loads(said)["meter_serial"] == "\u0645\u0661"


def test_whoever_reads_the_answer_may_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "readings.csv"
    file.write_text("\n".join([HEADER, *rows("A", STEADY * 10)]), encoding="utf-8")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert command_line.main(["check-readings", str(file)]) == 0


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        ("", (), "The file is empty."),
        (HEADER, (), "There are no rows below the header."),
        ("serial_no,value\n1,2", (), "The header lacks the column"),
        (f"{HEADER}\nA,1,{month(0)}", ("--reviewed",), "lacks the column true"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(
    text: str,
    more: tuple[str, ...],
    expected: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "readings.csv"
    file.write_text(text, encoding="utf-8")
    code, found, said = run(file, *more, capsys=capsys)
    assert (code, found) == (2, [])
    assert expected in said
