"""What was stored in English is said in the reader's language; what people typed stays."""

from datetime import date

import pytest

from services.languages.language import Language
from services.languages.sentence import nsentence, sentence
from services.languages.stored import found_again
from services.languages.writing import Month

SPANISH, ARABIC, ENGLISH = (Language.of(tag) for tag in ("es", "ar", "en"))
KEPT = (
    sentence("The head-end is down: this meter was not asked for."),
    sentence("No reading dated up to {day}.", day=date(2026, 10, 31)),
    sentence("Bills for {month} {year}.", month=Month(10, full=True), year="2026"),
    nsentence("{count} meter gave none.", "{count} meters gave none.", 1),
    nsentence("{count} meter gave none.", "{count} meters gave none.", 1204),
    sentence(
        "The outbox has {entries}, the oldest of {hours} ago.",
        entries=nsentence("{count} entry", "{count} entries", 1),
        hours=nsentence("{count} hour", "{count} hours", 30),
    ),
    sentence(
        "{job} of {day} failed. The page Jobs says why.",
        job=sentence("Monthly bills"),
        day=date(2026, 11, 1),
    ),
)


@pytest.mark.parametrize("said", KEPT)
@pytest.mark.parametrize("language", [SPANISH, ARABIC, Language.of("hi"), Language.of("sw")])
def test_a_stored_sentence_is_said_as_when_it_was_made(said: str, language: Language) -> None:
    assert language.say(str(said)) == language.say(said)
    assert language.say(str(said)) != str(said)


@pytest.mark.parametrize("said", KEPT)
def test_english_reads_what_is_stored(said: str) -> None:
    assert ENGLISH.say(str(said)) == str(said)
    assert str(found_again(str(said))) == str(said)


def test_sentences_one_after_the_other_are_each_said() -> None:
    said = [
        sentence("No reading dated up to {day}.", day=date(2026, 10, 31)),
        sentence("That of {day} was rejected.", day=date(2026, 11, 2)),
        sentence("{job} of {day} failed. The page Jobs says why.", job="J", day=date(2026, 1, 9)),
    ]
    assert SPANISH.say(" ".join(said)) == " ".join(map(SPANISH.say, said))


def test_what_comes_of_elsewhere_stays_beside_what_is_said() -> None:
    paused = sentence("Paused by {user}.", user="meera")
    stored = f"backup-1.zip, 12.3 MB. {paused}"
    assert SPANISH.say(stored) == f"backup-1.zip, 12.3 MB. {SPANISH.say(paused)}"


@pytest.mark.parametrize(
    "typed",
    [
        "meera",
        "Ravi Kumar",
        "of Kochi",
        "The tenant moved out of the upper flat; ask the landlord.",
        "C:\\data\\backups {folder}",
        "(((",
        ". ",
        "",
    ],
)
def test_what_somebody_typed_stays_as_it_is(typed: str) -> None:
    assert SPANISH.say(typed) == typed
    assert ARABIC.say(typed) == typed


def test_a_name_in_a_stored_sentence_stays_though_it_is_a_text_of_the_catalogue() -> None:
    # "Bill" is a word of the catalogue, and somebody's name.
    assert "Bill" in SPANISH.say("Paused by Bill.")
    assert SPANISH.say("Paused by Bill.") != "Paused by Bill."


def test_things_in_a_list_are_each_said() -> None:
    said = SPANISH.say("Removed: 3 photos, 1 alert.")
    things = [
        SPANISH.ngettext("{count} photo", "{count} photos", 3),
        SPANISH.ngettext("{count} alert", "{count} alerts", 1),
    ]
    assert all(thing in said for thing in things)
