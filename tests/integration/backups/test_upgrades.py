"""A newer version on an older data folder: a backup first, then all of the changes or none."""

import logging
import shutil
from pathlib import Path

import pytest

from services import bootstrap_database
from services.backups import backups, making
from services.backups.archive import open_backup
from services.bootstrap import build_services
from services.bootstrap_database import MIGRATIONS, UnableToUpgrade, database_address
from services.database.dump.snapshot import sums_of
from services.database.embedded import EmbeddedPostgres, EmbeddedPostgresError
from services.database.schema.migrations import (
    DatabaseNewerThanCode,
    MigrationFailed,
    apply_migrations,
    newest_version,
)
from services.settings import Settings
from tests.integration.backups.conftest import (
    BILLS,
    OLD,
    WRONG_ACCOUNTS,
    Command,
    found,
    kept,
    settings_of,
)
from tests.integration.old_data import migrations_up_to


@pytest.fixture
def old_migrations(tmp_path: Path) -> Path:
    """What the old version brings."""
    return migrations_up_to(OLD, tmp_path / "old")


def start(settings: Settings) -> None:
    build_services(settings, step_handlers={}).close()


def with_migrations(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(bootstrap_database, "MIGRATIONS", folder)


def test_the_start_keeps_what_it_is_about_to_change(
    settings: Settings, caplog: pytest.LogCaptureFixture, command: Command
) -> None:
    before = found(settings, BILLS)
    with database_address(settings) as dsn:
        sums = sums_of(dsn)
    with caplog.at_level(logging.INFO):
        start(settings)
    [path] = kept(settings)
    assert str(path) in caplog.text
    with open_backup(path) as backup:
        backup.check()
        assert backup.manifest.schema_version == OLD
        assert {n: (t.rows, t.sum) for n, t in backup.manifest.tables.items()} == {
            n: (t.rows, t.sum) for n, t in sums.items()
        }
    assert found(settings, BILLS) == before
    assert len(before) > 100
    assert found(settings, WRONG_ACCOUNTS) == []
    applied = found(settings, "select max(version) from supabase_migrations.schema_migrations")
    assert applied == [(newest_version(MIGRATIONS),)]

    # The next start changes nothing, and so keeps nothing.
    start(settings)
    assert kept(settings) == [path]

    # The file is good for a restore here, which brings it up to date.
    place = {"DATA_DIR": str(settings.data_dir.parent / "restored")}
    done = command("restore", path, **place)
    assert done.returncode == 0, done.stderr
    assert "It was brought up to date" in done.stderr
    assert found(settings_of(Path(place["DATA_DIR"])), BILLS) == before


def test_a_migration_that_fails_leaves_the_old_version_its_database(
    settings: Settings, old_migrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = shutil.copytree(MIGRATIONS, tmp_path / "broken")
    (broken / "20991231000000_broken.sql").write_text(
        "update public.customers set name = 'lost';\nselect nonsense;\n"
    )
    with database_address(settings) as dsn:
        before = sums_of(dsn)
    with_migrations(monkeypatch, broken)
    with pytest.raises(MigrationFailed, match="the version before this one still works with it"):
        start(settings)
    assert len(kept(settings)) == 1

    with_migrations(monkeypatch, old_migrations)
    with database_address(settings) as dsn:
        assert apply_migrations(dsn, old_migrations) == []
        assert sums_of(dsn) == before


def test_without_room_for_the_backup_nothing_is_changed(
    settings: Settings, old_migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "LEFT_FREE_BYTES", 10**18)
    with pytest.raises(UnableToUpgrade, match=r"needs a backup first\. .*not enough room"):
        start(settings)
    assert kept(settings) == []
    with database_address(settings) as dsn:
        assert apply_migrations(dsn, old_migrations) == []
    monkeypatch.undo()
    start(settings)
    assert len(kept(settings)) == 1


def test_an_older_version_is_refused_after_the_upgrade(
    settings: Settings, old_migrations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(settings)
    with_migrations(monkeypatch, old_migrations)
    with pytest.raises(DatabaseNewerThanCode, match=f"this version knows it up to {OLD}"):
        start(settings)
    assert len(kept(settings)) == 1


def test_the_last_three_are_kept(settings: Settings) -> None:
    settings.backups_folder.mkdir()
    for day in range(10, 15):
        (settings.backups_folder / f"before-upgrade-202601{day}-000000Z.zip").write_bytes(b"")
    (settings.backups_folder / "backup-20260110-000000Z.zip").write_bytes(b"")
    start(settings)
    assert [path.name[15:23] for path in kept(settings)][:2] == ["20260113", "20260114"]
    assert len(kept(settings)) == backups.KEPT_OF_EVENTS
    assert (settings.backups_folder / "backup-20260110-000000Z.zip").exists()


def test_files_of_another_postgres_are_said_with_what_to_do(
    server: EmbeddedPostgres, folder: Path
) -> None:
    note = folder / "postgres/server/cluster/PG_VERSION"
    note.write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match=r"one of Postgres 17, .* Make a backup with"):
        server.start()


def test_an_empty_place_has_nothing_to_keep(data_folder: Path) -> None:
    settings = settings_of(data_folder / "new")
    start(settings)
    assert not settings.backups_folder.exists()
