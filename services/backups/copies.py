"""Copies of backups elsewhere: in a folder, or in a store that speaks S3's protocol."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast

from services.backups.making import beside, sync

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Store

Sizes: TypeAlias = Mapping[str, int]

_PART_BYTES: Final = 8 * 1024 * 1024
_CALL: Final = timedelta(seconds=10)
# Of one part: over a slow line it takes longer than a call that carries a few words.
_TRANSFER: Final = timedelta(seconds=120)
_CODE: Final = re.compile(r"<Code>(\w{1,60})</Code>")


class UnableToCopy(Exception):
    """The other place cannot be reached or written; the message says why."""


class CopyPlace(Protocol):
    """A place for copies. Each method raises UnableToCopy."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def sizes(self) -> Sizes:
        """The files that are there, in bytes, by name."""
        ...

    def put(self, path: Path) -> None:
        """Copy a file there, whole or not at all."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file that is there."""
        ...


@dataclass(frozen=True)
class FolderCopies:
    """A folder, such as one of another machine that is mounted here."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.folder)

    def sizes(self) -> Sizes:
        """The files in it."""
        try:
            return {p.name: p.stat().st_size for p in self.folder.iterdir() if p.is_file()}
        except OSError as error:
            # Never made here: it may be the place where a disk is not mounted today.
            raise self._unable(error) from error

    def put(self, path: Path) -> None:
        """Copy beside, then rename."""
        try:
            with beside(self.folder / path.name) as unfinished:
                shutil.copyfile(path, unfinished)
                sync(unfinished)
                unfinished.replace(self.folder / path.name)
        except OSError as error:
            raise self._unable(error) from error

    def remove(self, name: str) -> None:
        """Remove a file."""
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._unable(error) from error

    def _unable(self, error: OSError) -> UnableToCopy:
        return UnableToCopy(f"{self.folder}: {error.strerror or error}")


@dataclass(frozen=True)
class S3Copies:
    """A bucket, and a folder in it; `options` are the keys and address as obstore names them."""

    address: str
    options: Mapping[str, str]

    @property
    def name(self) -> str:
        """The address."""
        return self.address

    def sizes(self) -> Sizes:
        """The objects in the folder."""
        import obstore  # noqa: PLC0415
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            found = [entry for page in obstore.list(self._store()) for entry in page]
        except BaseError as error:
            raise self._unable(error) from error
        return {str(entry["path"]): int(entry["size"]) for entry in found}

    def put(self, path: Path) -> None:
        """Upload, in parts where it is large."""
        import obstore  # noqa: PLC0415
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            store = self._store(_TRANSFER)
            obstore.put(store, path.name, path, chunk_size=_PART_BYTES, max_concurrency=2)
        except (BaseError, OSError) as error:
            raise self._unable(error) from error

    def remove(self, name: str) -> None:
        """Delete an object."""
        import obstore  # noqa: PLC0415
        from obstore.exceptions import BaseError  # noqa: PLC0415

        try:
            obstore.delete(self._store(), name)
        except BaseError as error:
            raise self._unable(error) from error

    def _store(self, timeout: timedelta = _CALL) -> "S3Store":
        # The library takes a while to load, which only those who use it should wait.
        from obstore.store import S3Store  # noqa: PLC0415

        bucket, _, prefix = self.address.removeprefix("s3://").partition("/")
        return S3Store(
            bucket,
            prefix=prefix or None,
            config=cast("S3Config", dict(self.options)),
            client_options={
                "allow_http": self.options.get("endpoint", "").startswith("http://"),
                "connect_timeout": _CALL,
                "timeout": timeout,
            },
            retry_config={"max_retries": 2, "retry_timeout": timeout},
        )

    def _unable(self, error: Exception) -> UnableToCopy:
        # The whole message is pages long.
        found = _CODE.search(str(error))
        why = found[1] if found else str(error).partition("\n")[0][:200]
        return UnableToCopy(f"{self.address}: {why}")


def copy_place(address: str, options: Mapping[str, str]) -> CopyPlace:
    """The place of an address: s3://bucket/folder, or a folder."""
    if address.startswith("s3://"):
        return S3Copies(address, options)
    return FolderCopies(Path(address))
