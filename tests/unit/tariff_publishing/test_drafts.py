"""A tariff while it is written: whatever is typed is kept, and every problem has its path."""

import json
from datetime import date
from random import Random

import pytest

from services.importing.source import UnreadableFile
from services.settings import PROJECT_FOLDER
from services.tariff_publishing.drafts import candidates, number_fields, read_draft
from services.tariff_publishing.edits import edited, put
from services.tariff_publishing.json_text import pretty
from tests.oracle.generator import random_tariff

EXAMPLES = PROJECT_FOLDER / "examples/tariffs"
KSEB = (EXAMPLES / "kseb-lt1a.json").read_text()
TODAY = date(2026, 11, 22)
RATE = {
    "label": "5cc0",
    "utility": "Some Utility",
    "name": "Homes",
    "fixedchargefirstmeter": 5,
    "fixedchargeunits": "$/month",
    "energyratestructure": [[{"rate": 0.1, "unit": "kWh"}]],
    "energyweekdayschedule": [[0] * 24] * 12,
    "energyweekendschedule": [[0] * 24] * 12,
    "usenetmetering": True,
}


def test_a_file_is_read_and_written_back_to_the_letter() -> None:
    (candidate,) = candidates(KSEB.encode(), today=TODAY)
    assert candidate.text == KSEB
    assert candidate.name == "KSEB-LT1A from 1 Jan 2020"
    draft = read_draft(KSEB)
    assert draft.tariff is not None
    assert draft.tariff.to_json() == json.loads(KSEB)


def test_text_made_by_us_reads_back_to_the_same_json() -> None:
    for seed in range(50):
        tariff = random_tariff(Random(seed))  # noqa: S311
        assert json.loads(pretty(tariff)) == tariff


def test_numbers_keep_their_digits_however_they_were_written() -> None:
    text = '{"a": 0.10, "b": 1e400, "c": [12345678901234567890.5, true, null], "d": "é"}'
    again = edited(text, put(("d",), "ü"))
    assert again == '{"a": 0.10, "b": 1E+400, "c": [12345678901234567890.5, true, null], "d": "ü"}'


def test_a_form_changes_one_number_and_nothing_else() -> None:
    fields = number_fields(json.loads(KSEB)["charges"][0], 0)
    assert [(f.label, f.value) for f in fields[:3]] == [
        ("Slab 1: up to kWh", "50"),
        ("Slab 1: rate", "3.15"),
        ("Slab 2: up to kWh", "100"),
    ]
    changed = json.loads(edited(KSEB, put(fields[1].path, "3.40")))
    expected = json.loads(KSEB)
    expected["charges"][0]["slabs"][0]["rate"] = "3.40"
    assert changed == expected


def test_a_wrong_number_stays_and_its_problem_names_its_place() -> None:
    field = number_fields(json.loads(KSEB)["charges"][0], 0)[1]
    draft = read_draft(edited(KSEB, put(field.path, "3.l5")))
    assert draft.tariff is None
    assert draft.data is not None
    assert number_fields(draft.data["charges"][0], 0)[1].value == "3.l5"
    assert draft.problems[0][0] == "charges[0].slabs[0].rate"
    why = "must be a number such as 3.25, with at most 12 digits on each side of the point."
    assert draft.wrong == (f"Energy charge: the first slab's rate {why}",)
    assert draft.wrong_at(field.path) == (f"The first slab's rate {why}",)
    assert draft.to_fill == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}", "deeper"),
        ("{", "not JSON"),
        ("[1]", "one object"),
        ('{"code": "a", "code": "b"}', "twice"),
        ('{"charges": [{"kind": "energy", "rate": 0.1}]}', "not exact"),
        ("NaN", "one object"),
        ("[" * 100_000, "deeper"),
        ('{"a": ' + "9" * 5000 + "}", "too long"),
    ],
)
def test_text_that_is_no_tariff_is_a_draft_with_problems(text: str, why: str) -> None:
    draft = read_draft(text)
    assert draft.tariff is None
    assert any(why in said for _, said in draft.problems)


def test_a_list_of_tariffs_is_offered_one_by_one() -> None:
    other = json.loads(KSEB) | {"effective_from": "2027-01-01"}
    found = candidates(json.dumps([json.loads(KSEB), other]), today=TODAY)
    assert [one.name for one in found] == ["KSEB-LT1A from 1 Jan 2020", "KSEB-LT1A from 1 Jan 2027"]


def test_a_rate_of_urdb_becomes_a_draft_that_says_what_is_missing() -> None:
    (candidate,) = candidates(json.dumps(RATE), today=TODAY)
    draft = read_draft(candidate.text)
    assert draft.tariff is not None
    assert draft.tariff.effective_from == TODAY
    assert any("usenetmetering" in remark for remark in candidate.remarks)


@pytest.mark.parametrize("text", ["", "[]", "7", "[1, 2]", "not json"])
def test_a_file_without_a_tariff_is_refused(text: str) -> None:
    with pytest.raises(UnreadableFile):
        candidates(text, today=TODAY)
