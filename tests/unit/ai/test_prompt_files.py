"""Prompts are files: complete, in plain text, and naming nothing that the code does not know."""

import shutil
from pathlib import Path

import pytest

from services.ai.placeholders import PLACEHOLDER, PLACEHOLDERS
from services.ai.prompt_files import FOLDER, KNOWN, Prompts, UnusablePrompt


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_each_prompt_names_only_known_placeholders(name: str) -> None:
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert set(PLACEHOLDER.findall(text)) <= KNOWN[name]


def test_every_prompt_of_the_folder_is_in_use() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(KNOWN)


def test_the_prompt_for_messages_shows_how_placeholders_are_written() -> None:
    assert set(PLACEHOLDER.findall(Prompts.load().write_message)) & set(PLACEHOLDERS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "prompts"
    shutil.copytree(FOLDER, copy)
    return copy


def test_a_changed_prompt_is_used_without_its_comments(folder: Path) -> None:
    (folder / "calculate_bill.md").write_text("<!-- for\nus {x} -->\nCompute it.\n")
    assert Prompts.load(folder).calculate_bill == "Compute it."


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"Write {amount} and {phone}.", r"write_message\.md names \{phone\}"),
        (b" \n", "is empty"),
        (b"<!-- only a comment -->", "is empty"),
        (b"\xff\xfe", "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_named(
    folder: Path, content: bytes | None, why: str
) -> None:
    path = folder / "write_message.md"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnusablePrompt, match=why):
        Prompts.load(folder)
