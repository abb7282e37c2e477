"""What is wrong with a tariff, each problem with the path of its field."""

import re
from collections.abc import Sequence
from typing import Final

from pydantic_core import ErrorDetails

from services.languages.sentence import N_, Sentence, joined, one_of, sentence, sentence_of
from services.tariffs.values import CODE_PATTERN, LANGUAGE_PATTERN, UNKNOWN_CURRENCY

Problem = tuple[str, str]

_KINDS: Final = N_(
    'must say its kind: "energy", "fixed", "demand", "power_factor", "reactive", "percent" '
    'or "minimum"'
)
# By pydantic's name of an error; the places are what it says beside.
_WORDS: Final = {
    "missing": N_("is missing"),
    "extra_forbidden": N_("is not a field of this format"),
    "string_type": N_("must be text"),
    "bool_type": N_("must be true or false"),
    "int_type": N_("must be a whole number"),
    "tuple_type": N_("must be a list"),
    "dict_type": N_("must be an object with named fields"),
    "model_type": N_("must be an object with named fields"),
    "model_attributes_type": N_("must be an object with named fields"),
    "union_tag_not_found": _KINDS,
    "union_tag_invalid": _KINDS,
    "literal_error": N_("must be {expected}"),
    "greater_than_equal": N_("must be greater than or equal to {ge}"),
    "less_than_equal": N_("must be less than or equal to {le}"),
    "too_long": N_("must have at most {max_length} entries"),
}
_AT_MOST: Final = N_("must have at most {most} characters")
_OF_CODES: Final = re.compile(r"[A-Za-z0-9_.-]")
_LONGEST_CODE: Final = 64
# Pydantic's own: "Input should be greater than 0".
_SHOULD: Final = re.compile(r"^\w+ should(?= )")


class InvalidTariff(ValueError):
    """The JSON is not a tariff; `problems` holds every (path, why), such as charges[0].rate."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: list[Problem] = list(problems)
        super().__init__(
            sentence(
                "This tariff cannot be used. {problems}", problems=paths_and_problems(problems)
            )
        )


def paths_and_problems(problems: Sequence[Problem]) -> Sentence:
    """Problems in one line, each after its path."""
    named = [
        sentence("{path}: {why}", path=path, why=why) if path else why for path, why in problems
    ]
    return joined(named, "; ")


def problem_of(error: ErrorDetails) -> Problem:
    """What pydantic found, with the path as it is in the JSON and the reason in plain words."""
    return _path(error), _why(error)


def _why(error: ErrorDetails) -> str:
    kind, beside = error["type"], error.get("ctx", {})
    if kind == "string_pattern_mismatch":
        return _pattern_problem(str(error["input"]), error["msg"])
    if kind == "string_too_long":
        return sentence(_AT_MOST, most=beside["max_length"])
    if kind == "literal_error":
        expected = str(beside["expected"]).replace(" or ", ", ")
        return sentence(_WORDS[kind], expected=one_of(expected.split(", ")))
    if kind in _WORDS:
        return sentence(_WORDS[kind], **beside) if "{" in _WORDS[kind] else sentence(_WORDS[kind])
    if kind == UNKNOWN_CURRENCY:
        return sentence_of(beside["error"])
    # Ours are texts of the catalogues already; what is left is pydantic's own.
    return sentence(_SHOULD.sub("must", error["msg"]))


def _pattern_problem(text: str, said: str) -> Sentence:
    """What is wrong with a text, by the pattern that pydantic names."""
    if LANGUAGE_PATTERN in said:
        return sentence("is for no language: write its tag, such as es or hi")
    if not text.strip():
        return sentence("is empty")
    if CODE_PATTERN not in said:
        return sentence("has a sign that cannot be printed, such as a line break")
    if wrong := _OF_CODES.sub("", text):
        return sentence(
            'has {sign}; letters from A to Z, digits, "_", "." and "-" are allowed',
            sign=_name(wrong[0]),
        )
    if len(text) > _LONGEST_CODE:
        return sentence(_AT_MOST, most=_LONGEST_CODE)
    return sentence("must begin with a letter or a digit")


def _name(sign: str) -> str:
    if sign.isspace():
        return sentence("a space")
    return f'"{sign}"' if sign.isprintable() else sentence("a sign that cannot be printed")


def _path(error: ErrorDetails) -> str:
    steps = list(error["loc"])
    # Pydantic names the kind of charge between its index and its field; the JSON has no such step.
    if len(steps) > 2 and steps[0] == "charges":
        del steps[2]
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        # Nor has it one for which of two forms a field has ("<text>"), or for "this is a name".
        elif not step.startswith(("<", "[")):
            path += f".{step}" if path else step
    return path
