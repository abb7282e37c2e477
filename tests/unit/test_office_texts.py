"""Every text of the office's pages is marked for translation."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages.languages.nouns import COUNTED
from services.settings import PROJECT_FOLDER

PAGES = PROJECT_FOLDER / "pages"
# What marks a text; its other values may hold unmarked ones.
MARKS = {"_", "N_", "NN_", "P_", "gettext", "ngettext", "pgettext", "sentence", "nsentence"}
LOG = re.compile(r"(log|logger|logging)\.[a-z]+")
# Two words, or one with a capital: what a person reads, and no key of the program.
TEXT = re.compile(r"(^|[\s*])[A-Z]?[a-z]{2,}[ ,]+[a-z]{2,}|^[A-Z][a-z]{2,}[.:]?$")
# Style sheets, scripts and commands.
FOR_THE_PROGRAM = re.compile(r"[{;]\s*[a-z-]+:|=>|^\.venv/")
# What is counted, which pages/languages/nouns.py marks in its sentences, and an English ordinal.
ALLOWED = {form.removeprefix("{count} ") for forms in COUNTED for form in forms} | {"Xth"}
ROOMS = sorted({str(path.parent.relative_to(PAGES)) for path in PAGES.rglob("*.py")})


def called(node: ast.AST) -> str:
    """What a call is to, such as `st.caption`; nothing for what is no call."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def parts_to_read(node: ast.AST) -> list[ast.AST]:
    """The parts of a node in which an unmarked text would be one that a person sees."""
    name = called(node)
    if isinstance(node, ast.Call) and name.rpartition(".")[2] in MARKS:
        return list(node.keywords)
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    # What is compared are keys, and the log is in English.
    if docstring or isinstance(node, ast.Compare) or LOG.fullmatch(name):
        return []
    if name == "TypeVar":
        return []
    if isinstance(node, ast.FunctionDef):
        return [*node.decorator_list, node.args, *node.body]
    if isinstance(node, ast.JoinedStr):
        return [part for part in node.values if isinstance(part, ast.FormattedValue)]
    return list(ast.iter_child_nodes(node))


def unmarked(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and the text of each text that is not marked."""
    if isinstance(node, ast.JoinedStr):
        parts = (v.value if isinstance(v, ast.Constant) else "X" for v in node.values)
        yield node.lineno, "".join(map(str, parts))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
    for part in parts_to_read(node):
        yield from unmarked(part)


def texts_of(path: Path) -> list[str]:
    return [
        f"{path.relative_to(PROJECT_FOLDER)}:{line}: {text!r}"
        for line, text in unmarked(ast.parse(path.read_text(encoding="utf-8")))
        if TEXT.search(text) and not FOR_THE_PROGRAM.search(text) and text not in ALLOWED
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_each_text_of_a_room_is_marked(room: str) -> None:
    found = [text for path in sorted((PAGES / room).glob("*.py")) for text in texts_of(path)]
    assert found == [], "docs/languages.md says how to add a text"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('st.caption("Paid on Monday.")', ["Paid on Monday."]),
        ('st.caption(f"Paid on {day}.")', ["Paid on X."]),
        ('st.caption(_("Paid on {day}.", day=f"the {n}th of"))', ["the Xth of"]),
        ('st.button("Pay", key="pay-now")', ["Pay"]),
        ('log.warning("a bill was lost (%s)", bill)', []),
        ('if view == "Timeline": pass', []),
        ('"""What it does."""\nx = "paid"', []),
        ('x = {"paid": "Paid"}', ["Paid"]),
        ('x = {"paid": N_("Paid")}', []),
    ],
)
def test_the_check_finds_a_text_that_is_not_marked(source: str, expected: list[str]) -> None:
    found = [text for _, text in unmarked(ast.parse(source)) if TEXT.search(text)]
    assert found == expected
