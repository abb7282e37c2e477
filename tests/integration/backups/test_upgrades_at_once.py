"""Two processes that upgrade one database, and one that is killed over it: never a half state."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.bootstrap_database import MIGRATIONS
from services.database.schema.migrations import apply_migrations, newest_version
from services.settings import PROJECT_FOLDER, Settings
from tests.integration.backups.conftest import BILLS, OLD, WRONG_ACCOUNTS, ask, found, kept
from tests.integration.old_data import LAST_BEFORE, load_old_data, migrations_up_to

VERSION = "select max(version), count(*) from supabase_migrations.schema_migrations"
NEWEST = [(newest_version(MIGRATIONS), len(list(MIGRATIONS.glob("*.sql"))))]
KEPT = "as it was before, it is in"

Starting = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def starting() -> Iterator[Starting]:
    """Makes processes that are about to start on a database, at a line on their input."""
    made = []

    def make(moment: str = "", **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.backups.starting", moment],
            env=os.environ | {"DEMO": "off"} | environment,
            cwd=PROJECT_FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        made.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield make
    for process in made:
        process.kill()
        process.communicate()


def at_once(processes: list["subprocess.Popen[str]"]) -> str:
    """Let all start, and wait until they did; what they said."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return "".join(said)


def test_of_two_starts_on_an_old_folder_one_upgrades_it_after_one_backup(
    settings: Settings, starting: Starting
) -> None:
    before, place = found(settings, BILLS), {"DATA_DIR": str(settings.data_dir)}
    said = at_once([starting(**place), starting(**place)])
    assert said.count(KEPT) == 1
    assert said.count("the last is") == 1
    assert len(kept(settings)) == 1
    assert found(settings, VERSION) == NEWEST
    assert found(settings, BILLS) == before
    assert found(settings, WRONG_ACCOUNTS) == []


def test_of_two_starts_on_an_old_database_of_somebodys_own_one_upgrades_it(
    empty_database: Callable[[], str], starting: Starting, tmp_path: Path
) -> None:
    dsn = empty_database()
    apply_migrations(dsn, migrations_up_to(LAST_BEFORE, tmp_path / "first"))
    load_old_data(dsn)
    apply_migrations(dsn, migrations_up_to(OLD, tmp_path / "old"))
    before = ask(dsn, BILLS)
    folders = [{"DATABASE_URL": dsn, "DATA_DIR": str(tmp_path / name)} for name in "ab"]
    said = at_once([starting(**place) for place in folders])
    assert said.count("the last is") == 1
    assert KEPT not in said
    assert ask(dsn, VERSION) == NEWEST
    assert ask(dsn, BILLS) == before
    assert ask(dsn, WRONG_ACCOUNTS) == []


@pytest.mark.parametrize("server_too", [False, True])
@pytest.mark.parametrize("moment", ["backup", "migrations"])
def test_an_upgrade_that_was_killed_is_done_by_the_next_start(
    settings: Settings, starting: Starting, moment: str, server_too: bool
) -> None:
    before, place = found(settings, BILLS), {"DATA_DIR": str(settings.data_dir)}
    process = starting(moment, **place)
    process.communicate("go\n", timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert len(kept(settings)) == (moment == "migrations")
    if server_too:
        _kill_server(settings)
    else:
        # Nothing of the half that was done is there.
        assert found(
            settings, "select max(version) from supabase_migrations.schema_migrations"
        ) == [(OLD,)]
    at_once([starting(**place)])
    assert found(settings, VERSION) == NEWEST
    assert found(settings, BILLS) == before
    assert found(settings, WRONG_ACCOUNTS) == []


def test_an_upgrade_that_is_bound_to_be_refused_makes_no_backup(
    settings: Settings, starting: Starting
) -> None:
    """A service that is started again and again would push the good ones out."""
    with_stranger = "insert into supabase_migrations.schema_migrations values ('20991231000000')"
    found(settings, f"{with_stranger} returning 1")
    process = starting(DATA_DIR=str(settings.data_dir))
    said, _ = process.communicate("go\n", timeout=120)
    assert process.returncode == 1
    assert "made by a newer version of the program (its schema is 20991231000000" in said
    assert kept(settings) == []


def _kill_server(settings: Settings) -> None:
    [note] = settings.data_dir.rglob("cluster/postmaster.pid")
    os.kill(int(note.read_text().split()[0]), signal.SIGKILL)
