"""What was stored in English is said in the reader's language; what people typed stays."""

from datetime import date
from decimal import Decimal

import pytest

from services.languages.language import Language
from services.languages.sentence import joined_by_and, nsentence, sentence
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
    # Numbers with decimals, and sentences within sentences.
    sentence(
        "{used} is {compared}; {least_kwh} to {most_kwh} is expected.",
        used=nsentence(
            "{kwh} {unit} in {count} day",
            "{kwh} {unit} in {count} days",
            31,
            kwh=Decimal("1400.5"),
            unit="kWh",
        ),
        compared=sentence(
            "{times} times the usual {usual_kwh} {unit} a day",
            times=Decimal("3.4"),
            usual_kwh=Decimal("13.3"),
            unit="kWh",
        ),
        least_kwh=Decimal("5.9"),
        most_kwh=Decimal("24.0"),
    ),
    # A heading of one word counts where a sentence follows it.
    sentence(
        "Register {name}: {error}",
        name="1.8",
        error=sentence("A rollover between the two explains it."),
    ),
    sentence(
        "The registers {registers} used {added_kwh} kWh, the total {kwh} kWh.",
        registers=joined_by_and(["night", "peak", "shoulder"]),
        added_kwh=Decimal("120.5"),
        kwh=Decimal(1000),
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
        "Register: the shop, not the flat",
        "Register shop: ask the owner first",
        "the red one is the neighbour's",
        "at least a week",
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


def test_a_number_is_written_as_the_language_has_it_and_a_name_of_digits_stays() -> None:
    said = SPANISH.say("Register 1.8: 1,400.5 kvarh is not below the last read of 12.25 kvarh.")
    last = "de la última lectura de 12,25 kvarh."
    assert said == f"Registro 1.8: 1.400,5 kvarh no está por debajo {last}"
