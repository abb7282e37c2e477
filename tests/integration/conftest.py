"""Shared by the integration tests: data folders, and other processes that work on them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.database.embedded import EmbeddedPostgres
from tests.folders import enterable_folder
from tests.integration.server_process import OtherProcess, Start


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """A folder for a data folder, which the server's user can enter when the tests run as root."""
    yield from enterable_folder()


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
