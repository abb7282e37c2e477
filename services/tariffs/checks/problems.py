"""What is wrong with a tariff, each problem with the path of its field."""

import re
from collections.abc import Sequence
from typing import Final

from pydantic_core import ErrorDetails

from services.tariffs.values import CODE_PATTERN, LANGUAGE_PATTERN

Problem = tuple[str, str]

_KINDS: Final = (
    'must say its kind: "energy", "fixed", "demand", "power_factor", "reactive", "percent" '
    'or "minimum"'
)
_IN_PLAIN_WORDS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of this format",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "tuple_type": "must be a list",
    "dict_type": "must be an object with named fields",
    "model_type": "must be an object with named fields",
    "model_attributes_type": "must be an object with named fields",
    "union_tag_not_found": _KINDS,
    "union_tag_invalid": _KINDS,
}
_OF_CODES: Final = re.compile(r"[A-Za-z0-9_.-]")
_LONGEST_CODE: Final = 64
# Pydantic's own: "Input should be greater than 0".
_SHOULD: Final = re.compile(r"^\w+ should(?= )")


class InvalidTariff(ValueError):
    """The JSON is not a tariff; `problems` holds every (path, why), such as charges[0].rate."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: list[Problem] = list(problems)
        listed = "; ".join(f"{path}: {why}" if path else why for path, why in self.problems)
        super().__init__(f"This tariff cannot be used. {listed}")


def problem_of(error: ErrorDetails) -> Problem:
    """What pydantic found, with the path as it is in the JSON and the reason in plain words."""
    if error["type"] == "string_pattern_mismatch" and LANGUAGE_PATTERN in error["msg"]:
        return _path(error), "is for no language: write its tag, such as es or hi"
    if error["type"] == "string_pattern_mismatch":
        return _path(error), _text_problem(
            str(error["input"]), is_code=CODE_PATTERN in error["msg"]
        )
    words = _IN_PLAIN_WORDS.get(error["type"]) or _SHOULD.sub("must", error["msg"])
    return _path(error), words


def _text_problem(text: str, *, is_code: bool) -> str:
    if not text.strip():
        return "is empty"
    if not is_code:
        return "has a sign that cannot be printed, such as a line break"
    if wrong := _OF_CODES.sub("", text):
        return f'has {_name(wrong[0])}; letters from A to Z, digits, "_", "." and "-" are allowed'
    if len(text) > _LONGEST_CODE:
        return f"must have at most {_LONGEST_CODE} characters"
    return "must begin with a letter or a digit"


def _name(sign: str) -> str:
    if sign.isspace():
        return "a space"
    return f'"{sign}"' if sign.isprintable() else "a sign that cannot be printed"


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
