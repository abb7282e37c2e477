"""Making a backup: one snapshot into one file, looked at before it has its name."""

import errno
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from services import VERSION
from services.backups.archive import (
    DATABASE,
    FORMAT,
    README,
    Manifest,
    NotABackup,
    Table,
    open_backup,
    write_backup,
    write_manifest,
)
from services.backups.secrets import secrets_of
from services.database.dump.programs import UnableToDump, contents, major
from services.database.dump.snapshot import open_snapshot

# What is left to the database while a backup is written beside it.
LEFT_FREE_BYTES: Final = 128 * 1024 * 1024
_LOOK_EVERY: Final = 16

Pulse = Callable[[], None]

_README: Final = """A backup of the electricity billing system, version {version}.
It is of {at:%Y-%m-%d %H:%M} UTC.

To restore it: install this version or a newer one, and run
    .venv/bin/python -m services restore FILE
docs/backup.md says more. Postgres's own pg_restore ({major} or newer) reads database.dump too.
"""


class UnableToBackUp(Exception):
    """A backup was not made, and nothing of it is left; the message says why."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was made and read back."""

    path: Path
    manifest: Manifest
    size: int


def make_backup(
    dsn: str,
    path: Path,
    *,
    demo: bool,
    secrets: tuple[Path, Mapping[str, str]] | None = None,
    pulse: Pulse = lambda: None,
    at_last: Pulse = lambda: None,
) -> Made:
    """Back the database up into a file, whole or not at all; one that is there stays until then.

    With `secrets` also what `secrets_of` takes. `pulse` is called again and again, `at_last` before
    the file has its name; each may raise to end it. Raises UnableToBackUp.
    """
    _may_be_written(path)
    try:
        with beside(path) as unfinished:
            manifest = _write(unfinished, dsn, demo, secrets, _watching(path.parent, pulse))
            _read_back(unfinished, pulse)
            size = unfinished.stat().st_size
            sync(unfinished)
            at_last()
            unfinished.replace(path)
            # Some shares know no fsync of a folder.
            with suppress(OSError):
                sync(path.parent)
    except UnableToDump as error:
        raise UnableToBackUp(f"No backup was made. {error}") from error
    except NotABackup as error:
        raise UnableToBackUp(
            f"No backup was made: what was written to {path.parent} reads back differently. Look "
            "at that disk."
        ) from error
    except OSError as error:
        raise UnableToBackUp(_trouble(path, error)) from error
    return Made(path, manifest, size)


def _write(
    unfinished: Path,
    dsn: str,
    demo: bool,
    secrets: tuple[Path, Mapping[str, str]] | None,
    pulse: Pulse,
) -> Manifest:
    with (
        open_snapshot(dsn) as snapshot,
        closing(snapshot.dump()) as dump,
        zipfile.ZipFile(unfinished, "w") as bundle,
    ):
        at: datetime = snapshot.at
        readme = _README.format(version=VERSION, at=at, major=major()).encode()
        tables = snapshot.tables(pulse=pulse)
        parts: list[tuple[str, Iterable[bytes]]] = [(README, [readme]), (DATABASE, dump)]
        parts += secrets_of(*secrets) if secrets else ()
        manifest = Manifest(
            format=FORMAT,
            version=VERSION,
            migrations=snapshot.versions,
            made_at=at,
            demo=demo,
            postgres=major(),
            tables={name: Table(rows=t.rows, sum=t.sum) for name, t in tables.items()},
            parts=write_backup(bundle, parts, pulse=pulse),
        )
        write_manifest(bundle, manifest)
        return manifest


def _read_back(path: Path, pulse: Pulse) -> None:
    """Every part with its sum, and the dump as pg_restore reads it."""
    with open_backup(path) as backup:
        backup.check(pulse=pulse)
        try:
            found = sum(b" TABLE DATA " in line for line in contents(backup.read(DATABASE)))
        except UnableToDump as error:
            raise NotABackup(str(error)) from error
        if found != len(backup.manifest.tables):
            raise NotABackup("The dump does not hold each table.")


def _watching(folder: Path, pulse: Pulse) -> Pulse:
    """The pulse, and now and then a look at the disk: the database needs room for itself."""
    calls = 0

    def look() -> None:
        nonlocal calls
        calls += 1
        if calls % _LOOK_EVERY == 1 and shutil.disk_usage(folder).free < LEFT_FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        pulse()

    return look


def _may_be_written(path: Path) -> None:
    if path.is_dir():
        raise UnableToBackUp(f"{path} is a folder. Name a file in it, such as {path}/backup.zip.")
    if not path.parent.is_dir():
        raise UnableToBackUp(
            f"The folder {path.parent} does not exist. Make it, or mount the disk it is on."
        )
    if path.exists():
        try:
            with open_backup(path):
                pass
        except (NotABackup, OSError) as error:
            raise UnableToBackUp(
                f"{path} exists and is no backup, so it is not overwritten. Choose another name."
            ) from error


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A new file beside the one that it is to become, for its owner only, gone if it does not."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Let the disk have what was written to a file or a folder. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _trouble(path: Path, error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return (
            f"No backup was made: there is not enough room in {path.parent}. Make room; nothing "
            "that was there was changed."
        )
    return f"No backup was made: {path.parent} cannot be written ({error.strerror or error})."
