"""What the round's scripts say is in its catalogue, and nothing else is."""

import json
import re
from pathlib import Path

import pytest

from services.history.terms import MISSED_READ
from services.languages.catalogues import OFFERED
from services.languages.language import ENGLISH_LANGUAGE, Language
from services.web.round import files_served, words
from services.web.round.words import COUNTED, STATES, TEXTS, words_json

SCRIPTS = "\n".join(
    path.read_text(encoding="utf-8")
    for path in sorted((Path(files_served.__file__).parent / "files").glob("*.js"))
)
SHELL = (Path(files_served.__file__).parent / "files" / "page.html").read_text(encoding="utf-8")
PLACES = re.compile(r"{\w+}")


def in_scripts(text: str) -> bool:
    return f'"{text}"' in SCRIPTS or f'data-text="{text}"' in SHELL


@pytest.mark.parametrize("text", [*TEXTS, *STATES, *(one for pair in COUNTED for one in pair)])
def test_each_text_of_the_catalogue_is_said_by_a_script(text: str) -> None:
    assert in_scripts(text)


def test_each_text_of_a_script_is_in_the_catalogue() -> None:
    known = {*TEXTS, *STATES, *(one for pair in COUNTED for one in pair)}
    said = set(re.findall(r'\bt\(\s*"([^"]+)"', SCRIPTS))
    said |= set(re.findall(r'(?:title|text): "([^"]+)"', SCRIPTS))
    said |= set(re.findall(r'\? "([A-Z][^"]+)"', SCRIPTS))
    said |= {one for one in re.findall(r'"([^"\n]+)"', SCRIPTS) if re.search(r"[a-z] [a-z]", one)}
    # What stands in no text: a class of CSS, what a tab tells another, an error that nobody sees.
    said -= {"take over", "too large", "row here"}
    assert said - known == set()


@pytest.mark.parametrize("tag", OFFERED)
def test_a_language_has_a_form_for_each_number(tag: str) -> None:
    made = words_json(Language.of(tag))
    for one, many in COUNTED:
        forms = made["counted"][one]
        assert set(forms) == {"zero", "one", "two", "few", "many", "other"}
        assert set(PLACES.findall(forms["other"])) == set(PLACES.findall(many))
    assert json.loads(json.dumps(made)) == made


def test_arabic_counts_two_meters_without_a_number() -> None:
    forms = words_json(Language.of("ar"))["counted"]["{count} meter"]
    assert "{count}" not in forms["two"]
    assert "{count}" in forms["few"]


def test_the_page_is_in_the_language_and_holds_its_words() -> None:
    page = files_served.page('A & B <"Power">', Language.of("ar")).content.decode()
    assert '<html lang="ar" dir="rtl">' in page
    assert "A &amp; B &lt;" in page
    held = re.search(r'id="words">(.*?)</script>', page)
    assert held is not None
    assert json.loads(held[1]) == words_json(Language.of("ar"))


def test_another_language_is_another_answer_to_a_cache() -> None:
    for made in (
        files_served.page("Utility", ENGLISH_LANGUAGE),
        files_served.manifest("Utility", ENGLISH_LANGUAGE),
    ):
        assert made.headers["Vary"] == "Accept-Language"
        assert made.headers["Content-Language"] == "en"


def test_new_words_are_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = files_served.file("worker.js")
    monkeypatch.setattr(words, "TEXTS", (*TEXTS, "Another text"))
    files_served._version.cache_clear()
    changed = files_served.file("worker.js")
    monkeypatch.undo()
    files_served._version.cache_clear()
    assert worker is not None
    assert changed is not None
    assert worker.content != changed.content


@pytest.mark.parametrize("text", MISSED_READ.values())
def test_each_reason_is_translated(text: str) -> None:
    assert Language.of("es").say(text) != text
