"""The database's sentences that people read are marked, in the words that its functions say."""

import re
from collections.abc import Iterator

import pytest

from services.customer_page.paying import BY_CUSTOMER
from services.database.refusals import OF_IMPORTS, OUTCOMES, REFUSALS
from services.languages.catalogues import OFFERED
from services.languages.language import Language
from services.languages.stored import found_again, sentences_in
from services.settings import PROJECT_FOLDER

SCHEMAS = "".join(
    path.read_text(encoding="utf-8")
    for path in sorted((PROJECT_FOLDER / "supabase" / "schemas").glob("*.sql"))
)
OTHERS = [Language.of(tag) for tag in OFFERED if tag != "en"]
LITERAL = re.compile(
    r"--[^\n]*|COMMENT ON [^;]*?IS\s+'(?:[^']|'')*';|'(?P<text>(?:[^']|'')*)'", re.DOTALL
)
# From a capital, or what a row's column comes before, to a full stop.
SENTENCE = re.compile(r" ?(?:[A-Z%]|must )[^\n]* [^\n]*\.")
PLACE = re.compile(r"%(?:\d\$)?s")
# What only a fault of the program brings about: nobody can do anything about it on a page.
FOR_THE_LOG = {
    "Rows of %s are never changed.",
    "What was ended in %s is not opened again.",
    "Rows of %s are never deleted: a correction is a new row.",
    "Rows of %s are never deleted: undo the change that made them.",
    "A write must name its actor.",
    "The audit trail is of the tables of public alone.",
    "The audit trail is written by its triggers alone.",
    "This trigger is of readings alone.",
    "This trigger is of bills alone.",
    "A bill says itself who made it: nobody says it for them.",
    "The tariff version of a bill must be one that it was priced by.",
    "Photos of readings and of missed reads are kept: % is not deleted.",
    "The lines of a bill must add up to its subtotal and its tax.",
    "A bill must run between two reads that are there.",
    "What is owed must be owed for a bill that is there.",
    "A ledger entry must continue the balance before it, in an open month.",
    "A ledger entry must be of an account, and of a bill, that is there.",
    "An account's balance must be that of its last ledger entry.",
    "An account is never another customer's, nor in another currency.",
    "An open item must be what its ledger entry is.",
    "What went back is never overwritten.",
    "A payment is never overwritten.",
    "What Stripe told is never overwritten.",
    "A payment link never changes: it is closed, and another is made.",
    "A sign-in name never changes: the audit trail names people by it.",
    "A credit or a fee has an amount above 0.",
    "There is no such import.",
    "There is no such export.",
    "Undo what was written to be looked at.",
    "Nothing is removed of %s.",
    # Programs alone use these keys twice.
    "This idempotency key was used for another reading.",
    "This id was used for another visit.",
    "There is another photo under this key already.",
}


def written() -> Iterator[str]:
    """The sentences in the functions of the database, as they stand there."""
    for found in LITERAL.finditer(SCHEMAS):
        text = (found["text"] or "").replace("''", "'")
        if SENTENCE.fullmatch(text):
            yield text


def words(text: str) -> str:
    """A text without its places, whatever each side calls them."""
    return re.sub(r"%(?:\d\$)?s|\{\w+\}", "…", text).strip()


@pytest.mark.parametrize("text", OUTCOMES)
def test_an_outcome_is_kept_in_these_words(text: str) -> None:
    # What comes after a colon is put behind it, and one is kept by a page of the customer's.
    begins = text.partition("{")[0].replace("'", "''")
    assert f"'{begins}" in SCHEMAS or text == BY_CUSTOMER


@pytest.mark.parametrize("text", [*REFUSALS, *OF_IMPORTS])
def test_the_database_says_it_in_these_words(text: str) -> None:
    assert words(text) in said_there()


def said_there() -> set[str]:
    there = {words(text) for text in written()}
    # Of a span that may have no end the database puts the words together.
    until = [text for text in there if "……" in text]
    return there | {text.replace("……", end) for text in until for end in ("… to …", "… on")}


def test_each_sentence_of_the_database_is_said_in_every_language() -> None:
    missing = {text for text in written() if text not in FOR_THE_LOG and not is_known(text)}
    assert missing == set(), "mark it in services/database/refusals.py"


def is_known(text: str) -> bool:
    # Days begin with a digit.
    filled = PLACE.sub("1x", text).strip()
    # As where a span has no end.
    filled = filled.replace("1x1x", "1x on")
    return all(found_again(part) is not None for part in sentences_in(filled))


def test_what_is_for_the_log_alone_is_in_the_database() -> None:
    assert set(written()) >= FOR_THE_LOG


def test_the_check_finds_what_is_not_marked() -> None:
    assert not is_known("Nobody has marked this sentence about %s.")
    assert is_known("No tariff has the code %s.")


@pytest.mark.parametrize("spoken", OTHERS, ids=lambda spoken: spoken.tag)
def test_a_refusal_is_said_in_the_language_of_its_reader(spoken: Language) -> None:
    said = spoken.say(ValueError("No transformer has the code T-9."))
    assert "T-9" in said
    assert "No transformer" not in said
    for text in REFUSALS:
        assert spoken.say(ValueError(text)) != text
