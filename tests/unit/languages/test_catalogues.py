"""The catalogues hold every text of the source, once, with its places, in each language."""

import ast
import re
from collections import Counter

import pytest
from babel.messages.catalog import Catalog, Message

from scripts.write_catalogues import DOCUMENT, extracted
from services.languages.catalogues import OF_DOCUMENTS, OFFERED, file_of, read
from services.languages.language import Language
from services.settings import PROJECT_FOLDER

TRANSLATED = tuple(tag for tag in OFFERED if tag != "en")
MARKS = {"_", "gettext", "ngettext", "pgettext", "sentence", "nsentence"}
PLACES = re.compile(r"{+\w*}+")
# The forms of CLDR: one for 0, 1, 2, few, many and all others in Arabic.
FORMS = {"es": 2, "fr": 2, "hi": 2, "ar": 6, "sw": 2, "th": 1}
# Said by their own numbers, without the place {count}: one, two, none.
SAID_WITHOUT_COUNT = {"ar": {0, 1, 2}}


def key(message: Message) -> tuple[str | None, str]:
    one = message.id if isinstance(message.id, str) else message.id[0]
    return message.context, one


def texts(catalogue: Catalog) -> set[tuple[str | None, str]]:
    return {key(message) for message in catalogue if message.id}


def translated(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


@pytest.fixture(scope="module")
def source() -> Catalog:
    found = extracted()
    assert len(found) > 400
    return found


@pytest.mark.parametrize("tag", [*TRANSLATED, *OF_DOCUMENTS])
def test_a_catalogue_has_each_text_of_the_source_and_no_other(tag: str, source: Catalog) -> None:
    wanted = texts(source)
    if tag in OF_DOCUMENTS:
        wanted = {(context, text) for context, text in wanted if context == DOCUMENT}
    own = texts(read(tag))
    hint = "run `make catalogues` and translate what is new (docs/languages.md)"
    assert own - wanted == set(), hint
    assert wanted - own == set(), hint


@pytest.mark.parametrize("tag", [*TRANSLATED, *OF_DOCUMENTS])
def test_each_text_is_translated_with_its_places(tag: str) -> None:
    catalogue = read(tag)
    wrong: list[tuple[object, object]] = []
    for message in catalogue:
        if not message.id:
            continue
        strings = translated(message)
        if not all(strings) or message.fuzzy:
            wrong.append((message.id, strings))
            continue
        source = message.id if isinstance(message.id, str) else message.id[1]
        wanted = Counter(PLACES.findall(source))
        for number, string in enumerate(strings):
            without = number in SAID_WITHOUT_COUNT.get(tag, set()) or len(strings) == 2
            found = Counter(PLACES.findall(string))
            if len(strings) > 1 and without:
                found["{count}"] = wanted["{count}"]
            if set(found) != set(wanted):
                wrong.append((message.id, string))
    assert wrong == []


@pytest.mark.parametrize("tag", [*TRANSLATED, *OF_DOCUMENTS])
def test_no_catalogue_holds_what_is_gone_or_guessed(tag: str) -> None:
    lines = file_of(tag).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith(("#~", "#, fuzzy"))] == []
    assert len(read(tag).obsolete) == 0


@pytest.mark.parametrize("tag", [*TRANSLATED, *OF_DOCUMENTS])
def test_each_language_has_its_forms_of_plural(tag: str) -> None:
    catalogue = read(tag)
    assert catalogue.num_plurals == FORMS[tag]
    plurals = [message for message in catalogue if message.pluralizable]
    assert {len(translated(message)) for message in plurals} <= {FORMS[tag]}


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (1, "يوم واحد"),
        (2, "يومان"),
        (3, "3 أيام"),
        (10, "10 أيام"),
        (11, "11 يومًا"),
        (99, "99 يومًا"),
        (100, "100 يوم"),
        (103, "103 أيام"),
        (1000, "1,000 يوم"),
    ],
)
def test_arabic_counts_as_arabic_does(number: int, written: str) -> None:
    assert Language.of("ar").ngettext("{count} day", "{count} days", number) == written


@pytest.mark.parametrize(
    ("tag", "none", "one", "two"),
    [
        ("en", "0 days", "1 day", "2 days"),
        ("es", "0 días", "1 día", "2 días"),
        # None is one in French.
        ("fr", "0 jour", "1 jour", "2 jours"),
        ("sw", "siku 0", "siku 1", "siku 2"),
    ],
)
def test_others_count_in_two_forms(tag: str, none: str, one: str, two: str) -> None:
    said = [Language.of(tag).ngettext("{count} day", "{count} days", n) for n in range(3)]
    assert said == [none, one, two]


def test_no_text_stands_within_an_f_string_where_babel_does_not_find_it() -> None:
    hidden = [
        (path.name, call.lineno)
        for room in ("services", "pages")
        for path in (PROJECT_FOLDER / room).rglob("*.py")
        for written in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(written, ast.JoinedStr)
        for call in ast.walk(written)
        if isinstance(call, ast.Call) and called(call) in MARKS and call.args
        if isinstance(call.args[0], ast.Constant)
    ]
    assert hidden == []


def called(call: ast.Call) -> str:
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
