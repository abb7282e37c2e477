"""Shared by the integration tests: one real embedded server, and databases made on it quickly."""

import itertools
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import apply_migrations
from tests.integration.server_process import OtherProcess, Start, enterable_folder, server_pid

MIGRATIONS = Path(__file__).parents[2] / "supabase" / "migrations"
NewDatabase = Callable[[], str]


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """A folder for a data folder, which the server's user can enter when the tests run as root."""
    yield from enterable_folder()


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[EmbeddedPostgres]:
    """The embedded server of this test session; for tests that never stop or harm it."""
    for folder in enterable_folder():
        server = EmbeddedPostgres(folder)
        server.start()
        yield server
        # Nobody needs its last checkpoint, which takes seconds after so many new databases.
        os.kill(server_pid(server), signal.SIGQUIT)
        server.stop()


@pytest.fixture(scope="session")
def empty_database(embedded_server: EmbeddedPostgres) -> NewDatabase:
    """Call it for the DSN of a new database with Supabase's roles and no schema."""
    numbers = itertools.count(1)
    return lambda: embedded_server.database(f"empty_{next(numbers)}")


@pytest.fixture(scope="session")
def fresh_database(embedded_server: EmbeddedPostgres) -> NewDatabase:
    """Call it for the DSN of a new database with all migrations applied, copied from a template."""
    apply_migrations(embedded_server.database("migrated"), MIGRATIONS)
    maintenance = embedded_server.database("maintenance")
    numbers = itertools.count(1)

    def make() -> str:
        name = f"fresh_{next(numbers)}"
        with psycopg.connect(maintenance, autocommit=True) as connection:
            copy = sql.SQL("create database {} template migrated").format(sql.Identifier(name))
            connection.execute(copy)
        return maintenance.replace("/maintenance?", f"/{name}?")

    return make


@pytest.fixture
def database(fresh_database: NewDatabase) -> str:
    """The DSN of a new database with all migrations applied."""
    return fresh_database()


@pytest.fixture(scope="session")
def made_before() -> Iterator[Path]:
    """A data folder whose server was started once, and stopped."""
    for folder in enterable_folder():
        with EmbeddedPostgres(folder):
            pass
        yield folder


@pytest.fixture
def folder(data_folder: Path, made_before: Path) -> Path:
    """A data folder of the test's own, as after a first start."""
    subprocess.run(["cp", "-a", f"{made_before}/.", str(data_folder)], check=True)
    return data_folder


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """The server of `folder`, not started."""
    server = EmbeddedPostgres(folder)
    yield server
    server.stop()


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Starts an "app" or a "command" in another process, on `folder` if not told otherwise."""
    processes: list[OtherProcess] = []

    def start(kind: str, **options: Any) -> OtherProcess:
        processes.append(OtherProcess(options.pop("folder", folder), kind, **options))
        return processes[-1]

    yield start
    for process in processes:
        process.end()
