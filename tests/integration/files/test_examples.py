"""The examples are imported in the README's order, and again without a change."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.importing import Importer
from services.settings import PROJECT_FOLDER
from tests.integration.utility import Utility, make_utility

NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)
COMMAND = re.compile(r"^\.venv/bin/python -m services import (\w+) +(examples/\S+)$", re.MULTILINE)


@pytest.fixture
def utility(database: str, tmp_path: Path) -> Iterator[Utility]:
    made = make_utility(database, tmp_path, now=NOW)
    yield made
    made.services.close()


def test_the_readme_imports_every_example_and_a_repeat_changes_nothing(utility: Utility) -> None:
    importer = Importer(utility.services.database, utility.services.settings.timezone)
    commands: list[tuple[Any, str]] = COMMAND.findall((PROJECT_FOLDER / "README.md").read_text())
    named = {path for _, path in commands if path.endswith(".csv")}
    there = {f"examples/{path.name}" for path in (PROJECT_FOLDER / "examples").glob("*.csv")}
    assert there - named == {"examples/bank_statements.csv"}
    commands.append(("bank_statements", "examples/bank_statements.csv"))
    for _ in range(2):
        for what, path in commands:
            report = importer.run(what, PROJECT_FOLDER / path, actor="cli:tester", now=NOW)
            assert report.ok, (what, [str(problem) for problem in report.errors])
    last = importer.run(commands[-1][0], PROJECT_FOLDER / commands[-1][1], actor="x", now=NOW)
    assert (last.added, last.unchanged) == (0, 3)
    waiting = utility.services.database.bank_lines(status="open").items
    assert [line.reference for line in waiting] == ["thank you"]
