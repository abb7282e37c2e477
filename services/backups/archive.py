"""The file of a backup: a ZIP with a manifest that says what is in it and what it must sum to."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from services.database.dump.programs import CHUNK_BYTES

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
DATABASE: Final = "database.dump"
SIGNING_KEY: Final = "secrets/signing.key"
SETTINGS: Final = "secrets/settings.env"
README: Final = "README.txt"
_PARTS: Final = {README, DATABASE, SIGNING_KEY, SETTINGS}
_MOST_MANIFEST: Final = 16 * 1024 * 1024
_DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)

Pulse = Callable[[], None]


class NotABackup(Exception):
    """A file is no backup, or not a whole one; the message says so, and what to do."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Part(_Stored):
    """One file in the ZIP: bytes, and their SHA-256."""

    size: int
    sha256: str


class Table(_Stored):
    """How many rows a table had, and the sum of what was in them."""

    rows: int
    sum: str


class Manifest(_Stored):
    """What a backup is of, and what it must hold. Times are UTC."""

    product: Literal["electricity-billing"] = "electricity-billing"
    format: int
    version: str
    migrations: tuple[str, ...]
    made_at: AwareDatetime
    demo: bool
    postgres: int
    tables: dict[str, Table]
    parts: dict[str, Part]

    @property
    def schema_version(self) -> str:
        """The version of the last migration."""
        return self.migrations[-1]

    @property
    def rows(self) -> int:
        """How many rows all tables have."""
        return sum(table.rows for table in self.tables.values())


@dataclass(frozen=True)
class BackupFile:
    """A backup that was opened, and whose manifest was read."""

    path: Path
    manifest: Manifest
    _zip: zipfile.ZipFile

    def read(self, name: str, *, pulse: Pulse = lambda: None) -> Iterator[bytes]:
        """A part in chunks; raises NotABackup, at its end at the latest, if it was changed."""
        expected, digest, size = self.manifest.parts[name], hashlib.sha256(), 0
        try:
            with self._zip.open(name) as part:
                while chunk := part.read(CHUNK_BYTES):
                    size += len(chunk)
                    if size > expected.size:
                        break
                    digest.update(chunk)
                    yield chunk
                    pulse()
        except (*_DAMAGED, KeyError) as error:
            raise _damaged(self.path) from error
        if (size, digest.hexdigest()) != (expected.size, expected.sha256):
            raise _damaged(self.path)

    def check(self, *, pulse: Pulse = lambda: None) -> None:
        """Read every part; raises NotABackup if one was changed."""
        for name in self.manifest.parts:
            for _ in self.read(name, pulse=pulse):
                pass


@contextmanager
def open_backup(path: Path) -> Iterator[BackupFile]:
    """Open a backup and read its manifest. Raises NotABackup, OSError."""
    try:
        bundle = zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise NotABackup(
            f"{path} is no backup of this system, or its end is missing. Take another backup, or "
            "copy this one again from where it came."
        ) from error
    with bundle:
        yield BackupFile(path, _manifest(path, bundle), bundle)


def write_backup(
    bundle: zipfile.ZipFile, parts: Iterable[tuple[str, Iterable[bytes]]], *, pulse: Pulse
) -> dict[str, Part]:
    """Write the parts of a backup; what each came to. Raises OSError, and what a part raises."""
    written = {}
    for name, chunks in parts:
        digest, size = hashlib.sha256(), 0
        # A dump is compressed by itself.
        with bundle.open(zipfile.ZipInfo(name), "w", force_zip64=True) as part:
            for chunk in chunks:
                digest.update(chunk)
                size += part.write(chunk)
                pulse()
        written[name] = Part(size=size, sha256=digest.hexdigest())
    return written


def write_manifest(bundle: zipfile.ZipFile, manifest: Manifest) -> None:
    """Write the manifest, which comes last."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, ensure_ascii=False)
    bundle.writestr(MANIFEST, text, zipfile.ZIP_DEFLATED)


def _manifest(path: Path, bundle: zipfile.ZipFile) -> Manifest:
    names = bundle.namelist()
    if MANIFEST not in names:
        raise NotABackup(f"{path} is a ZIP, but no backup of this system: it has no manifest.")
    try:
        if bundle.getinfo(MANIFEST).file_size > _MOST_MANIFEST:
            raise _damaged(path)
        found = json.loads(bundle.read(MANIFEST))
        if isinstance(found, dict) and isinstance(wanted := found.get("format"), int):
            _known_format(path, wanted)
        manifest = Manifest.model_validate(found)
    except (*_DAMAGED, ValueError, ValidationError) as error:
        raise _damaged(path) from error
    # Nothing is ever unpacked by the name it has in the ZIP; whatever else lies in it is not ours.
    strangers = sorted(set(names) - {MANIFEST} - _PARTS)
    if strangers:
        raise NotABackup(
            f"{path} holds what no backup of this system does ({strangers[0][:100]!r}), so it is "
            "not restored."
        )
    if (
        len(names) != len(set(names))
        or set(names) != {MANIFEST, *manifest.parts}
        or DATABASE not in manifest.parts
        or not manifest.migrations
    ):
        raise _damaged(path)
    return manifest


def _known_format(path: Path, wanted: int) -> None:
    if wanted > FORMAT:
        raise NotABackup(
            f"{path} was made by a newer version of this program, in a form that this one does "
            "not know. Restore it with that version."
        )


def _damaged(path: Path) -> NotABackup:
    return NotABackup(
        f"{path} is damaged: it is not as it was written. Take another backup, or copy this one "
        "again from where it came."
    )
