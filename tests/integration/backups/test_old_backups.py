"""Backups of older versions in this one, and restores that end in the middle: no data is lost."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app import create_app
from services.backups.making import make_backup
from services.bootstrap import build_services
from services.database.schema.migrations import apply_migrations, newest_version
from services.identity.auth import LocalTokens, NotSignedIn, hash_api_key, new_api_key
from services.identity.permissions import Role
from services.identity.signing_key import load_or_create_signing_key
from services.jobs.by_hand import run_job
from services.settings import PROJECT_FOLDER, load_settings
from tests.disks import disk_of
from tests.integration.backups.conftest import (
    BILLS,
    OLD,
    WRONG_ACCOUNTS,
    Command,
    ask,
    content_of,
    found,
    settings_of,
)
from tests.integration.old_data import LAST_BEFORE, load_old_data, migrations_up_to

MIGRATIONS = PROJECT_FOLDER / "supabase" / "migrations"
VERSION = "select max(version) from supabase_migrations.schema_migrations"
SESSION = """
    insert into public.sessions (id, user_id, role, via, issued_at, expires_at)
    values (%s, 'meera', 'admin', 'token', now() - interval '1 minute', now() + interval '1 day')"""
KEY = """
    insert into public.api_keys (id, name, key_hash, role)
    values (gen_random_uuid(), 'meter reader', %s, 'engineer')"""


@pytest.fixture
def old(empty_database: Callable[[], str], tmp_path: Path) -> Callable[[str], str]:
    """Makes a database as an older version left it, by its last migration."""

    def make(version: str) -> str:
        dsn = empty_database()
        apply_migrations(dsn, migrations_up_to(LAST_BEFORE, tmp_path / "first"))
        load_old_data(dsn)
        apply_migrations(dsn, migrations_up_to(version, tmp_path / "then"))
        return dsn

    return make


@dataclass(frozen=True)
class OldBackup:
    """A backup of an older version: with a sign-in that it knows, a later one, and an API key."""

    path: Path
    bills: list[tuple[Any, ...]]
    tokens: tuple[str, str]
    key: str


@pytest.fixture(params=[LAST_BEFORE, OLD])
def backup(request: pytest.FixtureRequest, old: Callable[[str], str], tmp_path: Path) -> OldBackup:
    """A backup with the signing key, of before service points or of before people."""
    dsn, now, key = old(request.param), datetime.now(UTC), new_api_key()
    then = tmp_path / "then data"
    then.mkdir()
    tokens = LocalTokens(load_or_create_signing_key(then))
    before = now - timedelta(minutes=1)
    known, later = (tokens.issue("meera", Role.ADMIN, before) for _ in range(2))
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'meera', true)")
        connection.execute(SESSION, [tokens.verify(known, now).session])
        connection.execute(KEY, [hash_api_key(key)])
    path = tmp_path / "b.zip"
    make_backup(dsn, path, demo=False, secrets=(then, {}))
    return OldBackup(path, ask(dsn, BILLS), (known, later), key)


@pytest.mark.parametrize("secrets", [(), ("--with-secrets",)])
def test_a_backup_of_before_people_works_in_this_version_and_lets_nobody_in(
    secrets: tuple[str, ...], backup: OldBackup, target: str, command: Command, tmp_path: Path
) -> None:
    place = {"DATABASE_URL": target, "DATA_DIR": str(tmp_path / "here")}
    done = command("restore", *secrets, backup.path, **place)
    assert done.returncode == 0, done.stderr
    assert "It was brought up to date" in done.stderr
    assert ("There is no signing.key" in done.stderr) == (not secrets)
    assert ask(target, VERSION) == [(newest_version(MIGRATIONS),)]
    assert ask(target, BILLS) == backup.bills
    assert len(backup.bills) > 100
    assert ask(target, WRONG_ACCOUNTS) == []

    services = build_services(load_settings(place), step_handlers={})
    try:
        for token in backup.tokens:
            with pytest.raises(NotSignedIn):
                services.who(token, datetime.now(UTC))
        later = datetime.now(UTC) + timedelta(seconds=2)
        fresh = services.tokens.issue("meera", Role.ADMIN, later)
        assert services.who(fresh, later).user == "meera"
        client = create_app(services).test_client()
        asked = client.get("/api/scheduler/status", headers={"X-API-Key": backup.key})
        assert asked.status_code == 200
        assert run_job(services, "overdue_marking", later, "test").status == "done"
    finally:
        services.close()


@pytest.mark.parametrize("moment", ["filled", "before", "after"])
def test_a_restore_that_is_killed_leaves_one_whole_database(
    moment: str, old: Callable[[str], str], command: Command, tmp_path: Path
) -> None:
    """Of two there is the old one until they swap, and the restored one from then on."""
    dsn, path = old(OLD), tmp_path / "b.zip"
    place = {"DATABASE_URL": dsn, "DATA_DIR": str(tmp_path / "here"), "DEMO": "off"}
    apply_migrations(dsn, MIGRATIONS)
    make_backup(dsn, path, demo=False)
    with psycopg.connect(dsn) as connection:
        connection.execute("select set_config('billing.actor', 'meera', true)")
        connection.execute("update public.customers set name = name || ' since'")
    present = content_of(dsn)
    killed = subprocess.run(
        [sys.executable, "-m", "tests.integration.backups.restoring", moment, str(path)],
        env=os.environ | place,
        cwd=PROJECT_FOLDER,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (content_of(dsn) == present) == (moment != "after")
    # What was there is in a file as well, and nothing that was left is in the way of another try.
    [kept] = (tmp_path / "here" / "backups").glob("before-restore-*.zip")
    done = command("restore", "--replace", kept, **place)
    assert done.returncode == 0, done.stderr
    assert content_of(dsn) == present


def test_a_restore_onto_a_full_disk_loses_nothing(
    old: Callable[[str], str], command: Command, tmp_path: Path
) -> None:
    path, elsewhere = tmp_path / "b.zip", tmp_path / "elsewhere"
    elsewhere.mkdir()
    make_backup(old(OLD), path, demo=False)
    with disk_of("600m") as disk:
        place = {"DATA_DIR": str(disk / "data"), "BACKUP_DIR": str(elsewhere)}
        settings = settings_of(disk / "data")
        assert command("restore", path, **place).returncode == 0
        before = found(settings, BILLS)
        filler = disk / "filler"
        with filler.open("wb") as file:
            free = os.statvfs(disk)
            file.write(b"0" * (free.f_bavail * free.f_frsize - 4_000_000))
        done = command("restore", "--replace", path, **place)
        assert done.returncode == 1
        assert "Nothing was restored" in done.stderr
        assert "Traceback" not in done.stderr
        filler.unlink()
        assert found(settings, BILLS) == before
        assert len(before) > 100
        assert command("restore", "--replace", path, **place).returncode == 0
