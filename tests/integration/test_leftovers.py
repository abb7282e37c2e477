"""Folders of killed runs are cleared away; those of a run that lives, and of others, are not."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.database.embedded import EmbeddedPostgres
from tests.folders import OWNER, PREFIX, remove_leftovers
from tests.integration.server_process import ROOT, noted_pid, runs

# A run with a database server in a folder of its own; the data folder to copy is made before.
RUN = """
import subprocess, sys
from pathlib import Path
from services.database.embedded import EmbeddedPostgres
from tests.folders import enterable_folder

for folder in enterable_folder(Path(sys.argv[1])):
    subprocess.run(["cp", "-a", sys.argv[2], str(folder / "data")], check=True)
    EmbeddedPostgres(folder / "data").start()
    print(folder, flush=True)
    sys.stdin.readline()
"""


class Run:
    """A session of tests in another process."""

    def __init__(self, place: Path, data: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(place), str(data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        self.folder = Path(self.process.stdout.readline().strip())
        self.server = noted_pid(self.folder / "data" / "postgres" / "server" / "cluster")

    def kill(self) -> None:
        """End it as an operator's `kill -9` would."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def run(data_folder: Path, made_before: Path) -> Iterator[Run]:
    made = Run(data_folder, made_before)
    yield made
    made.kill()
    remove_leftovers(data_folder)
    assert not runs(made.server)


def test_the_folder_of_a_killed_run_goes_with_its_server(run: Run, data_folder: Path) -> None:
    remove_leftovers(data_folder)
    assert run.folder.exists()
    assert runs(run.server)
    run.kill()
    assert runs(run.server)
    remove_leftovers(data_folder)
    assert not run.folder.exists()
    assert not runs(run.server)


def test_a_folder_in_which_another_process_works_stays(run: Run, data_folder: Path) -> None:
    with EmbeddedPostgres(run.folder / "data"):
        run.kill()
        remove_leftovers(data_folder)
        assert run.folder.exists()
        assert runs(run.server)


def test_a_folder_that_another_process_names_stays(run: Run, data_folder: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep
    program = shutil.copy(sleep, run.folder / "server-of-another-kind")
    run.kill()
    with subprocess.Popen([program, "60"]) as other:
        remove_leftovers(data_folder)
        assert run.folder.exists()
        other.kill()


def test_a_folder_without_an_owner_stays(data_folder: Path) -> None:
    strange = data_folder / f"{PREFIX}strange"
    strange.mkdir()
    remove_leftovers(data_folder)
    assert strange.exists()
    (strange / OWNER).touch()
    remove_leftovers(data_folder)
    assert not strange.exists()
