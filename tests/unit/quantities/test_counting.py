"""1 bill, 2 bills: counts go with the right form of what is counted, wherever one is written."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from services.quantities.counting import count
from services.settings import PROJECT_FOLDER

# A number and then a plural, such as "{bills} bills"; "of 30 days" is right of one day too.
PLURAL = re.compile(
    r" (more )?(bill|meter|day|month|hour|minute|second|customer|account|reading|payment|row|line|"
    r"file|attempt|digit|decimal|instalment|problem|key|migration|transformer|message|part|charge)s\b"
)
WRITTEN = (*(PROJECT_FOLDER / "services").rglob("*.py"), *(PROJECT_FOLDER / "pages").rglob("*.py"))


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 days"), (1, "1 day"), (2, "2 days"), (1_000, "1,000 days")]
)
def test_a_count_has_the_form_of_its_number(number: int, said: str) -> None:
    assert count(number, "day") == said


def test_a_plural_of_its_own_is_given() -> None:
    assert (count(1, "entry", "entries"), count(2, "entry", "entries")) == ("1 entry", "2 entries")


def test_no_text_puts_a_plural_behind_any_number() -> None:
    found = [f"{path.relative_to(PROJECT_FOLDER)}:{line}" for path in WRITTEN for line in of(path)]
    assert found == [], "use services/quantities/counting.py"


def of(path: Path) -> Iterator[int]:
    """The lines of a module on which a number that may be 1 stands before a plural."""
    for text in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(text, ast.JoinedStr):
            continue
        values = [ast.Constant(""), *text.values]
        for (before, value), (_, after) in pairwise(pairwise(values)):
            if isinstance(value, ast.FormattedValue) and may_be_one(value):
                led = before.value if isinstance(before, ast.Constant) else ""
                follows = after.value if isinstance(after, ast.Constant) else ""
                if PLURAL.match(str(follows)) and not re.search(r"( of| to) $", str(led)):
                    yield text.lineno


def may_be_one(value: ast.FormattedValue) -> bool:
    """A constant of the program is not 1; what `count` made has its noun already."""
    return not (isinstance(value.value, ast.Name) and value.value.id.lstrip("_").isupper())
