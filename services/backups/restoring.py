"""Restoring a backup: into a new database, compared with the manifest, then swapped in."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from services.backups.archive import (
    DATABASE,
    SETTINGS,
    SIGNING_KEY,
    BackupFile,
    Manifest,
    NotABackup,
    open_backup,
)
from services.backups.secrets import put_back
from services.database.dump.programs import UnableToDump, contents, major, restore
from services.database.dump.replacement import (
    SwapUnknown,
    end_sign_ins,
    is_used,
    replacement_of,
    set_default_rights,
)
from services.database.dump.snapshot import sums_of
from services.database.schema.migrations import MigrationError, apply_migrations, read_migrations
from services.database.transport import DatabaseError
from services.quantities.counting import count

Say = Callable[[str], None]


class UnableToRestore(Exception):
    """A backup was not restored, or not all of it; the message says what was, and why."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored: the backup's manifest, and the migrations that it was brought up with.

    `left` is the name of the database that it replaced, if that could not be dropped.
    """

    manifest: Manifest
    migrated: int
    left: str = ""


def check_backup(path: Path, *, demo: bool, migrations: Path) -> Manifest:
    """Read a whole backup and say whether it may be restored here. Raises UnableToRestore."""
    try:
        with open_backup(path) as backup:
            _may_be_restored(backup.manifest, demo=demo, migrations=migrations)
            backup.check()
            return backup.manifest
    except (NotABackup, MigrationError, UnableToDump) as error:
        raise UnableToRestore(str(error)) from error
    except OSError as error:
        raise UnableToRestore(f"{path} cannot be read: {error.strerror or error}.") from error


def restore_backup(path: Path, dsn: str, *, migrations: Path, say: Say) -> Restored:
    """Put the database of a backup that was checked in the place of the DSN's, or change nothing.

    An older one is brought up to date before it comes there, and everybody signs in again. Raises
    UnableToRestore.
    """
    try:
        with open_backup(path) as backup, replacement_of(dsn) as new:
            say(f"Restoring {count(backup.manifest.rows, 'row')} …")
            _fill(backup, new.dsn)
            _compare(backup.manifest, new.dsn)
            migrated = apply_migrations(new.dsn, migrations)
            end_sign_ins(new.dsn)
            left = new.take_its_place()
            return Restored(backup.manifest, len(migrated), left)
    except SwapUnknown:
        raise UnableToRestore(
            "The connection to the database server was lost just as the restored database took the "
            "place of the other. One of the two is there, whole: start the app and look which, and "
            "restore again if it is the old one."
        ) from None
    except (NotABackup, UnableToDump, MigrationError, DatabaseError) as error:
        raise UnableToRestore(f"Nothing was restored. {error}") from error
    except OSError as error:
        raise UnableToRestore(f"Nothing was restored: {error.strerror or error}.") from error


def holds_data(dsn: str) -> bool:
    """Whether a restore would replace what somebody entered. Raises UnableToRestore."""
    try:
        return is_used(dsn)
    except UnableToDump as error:
        raise UnableToRestore(str(error)) from error


def restore_secrets(path: Path, data_dir: Path) -> Iterable[Path]:
    """Put the signing key and the settings of a backup into the data folder; where they are now.

    Raises UnableToRestore.
    """
    try:
        with open_backup(path) as backup:
            names = [n for n in (SIGNING_KEY, SETTINGS) if n in backup.manifest.parts]
            return [put_back(data_dir, name, b"".join(backup.read(name))) for name in names]
    except (NotABackup, OSError) as error:
        raise UnableToRestore(
            f"The database was restored, its secrets were not: {error}"
        ) from error


def _may_be_restored(manifest: Manifest, *, demo: bool, migrations: Path) -> None:
    known = {one.version for one in read_migrations(migrations)}
    newer = sorted(set(manifest.migrations) - known)
    if newer or manifest.postgres > major():
        raise UnableToRestore(
            f"This backup was made by version {manifest.version}, which is newer than this one "
            f"(its schema is {manifest.schema_version}, this version knows it up to "
            f"{max(known)}). Install that version or a newer one, and restore it with that."
        )
    if manifest.demo and not demo:
        raise UnableToRestore(
            "This is a backup of the demo. Restore it with DEMO=on, or take one of your own data."
        )
    if demo and not manifest.demo:
        raise UnableToRestore(
            "This is a backup of a utility's own data, and the settings are those of the demo. Set "
            "DEMO=off, and restore it again."
        )


def _fill(backup: BackupFile, dsn: str) -> None:
    listed = contents(backup.read(DATABASE))
    restore(dsn, backup.read(DATABASE), listed=listed)
    set_default_rights(dsn)


def _compare(manifest: Manifest, dsn: str) -> None:
    """Every table must be what it was in the snapshot, row for row. Raises NotABackup."""
    found = {(name, table.rows, table.sum) for name, table in sums_of(dsn).items()}
    expected = {(name, table.rows, table.sum) for name, table in manifest.tables.items()}
    if found != expected:
        names = sorted({name for name, _, _ in found ^ expected})
        raise NotABackup(
            f"What came out of the backup is not what went into it ({', '.join(names[:5])})."
        )
