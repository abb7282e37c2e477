"""Shared by the tests of backups: a utility of one's own on an embedded server, and its files."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest

from tests.command import run_command

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs a command on a database by its DSN, with a data folder of the test's own."""

    def run(*arguments: object, **environment: str) -> CompletedProcess[str]:
        given = {"DATA_DIR": str(tmp_path / "data"), "DEMO": "off"} | environment
        return run_command(*map(str, arguments), environment=given)

    return run


@pytest.fixture
def target(empty_database: Callable[[], str]) -> str:
    """The DSN of an empty place for a restore."""
    return empty_database()


def ask(dsn: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows of a query."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode(), values).fetchall()
