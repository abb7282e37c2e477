"""Room on the disks that hold the data folder and the embedded database."""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

from services.integrations.failures import TemporaryFailure
from services.languages.sentence import N_, sentence

# A month's work of a small utility, PDFs included, fits into what is left at the first warning.
LOW_BYTES: Final = 1024**3
# Postgres needs room for its journal (a file of 16 MB at a time) only to end in good order.
FULL_BYTES: Final = 64 * 1024**2
FRESH_SECONDS: Final = 5.0
_PROBE: Final = b"\0" * 4096


class Room(IntEnum):
    """How much room there is; the larger, the worse."""

    OK = 0
    LOW = 1
    FULL = 2


@dataclass(frozen=True, slots=True)
class DiskState:
    """The worst of the disks: how it stands, a word without paths, a sentence for the office."""

    room: Room
    word: str
    sentence: str


class DiskWatch:
    """Looks at the disks of some folders, at most once in FRESH_SECONDS; for many threads."""

    def __init__(
        self, folders: Iterable[Path], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folders = tuple(folders)
        self._clock = clock
        self._lock = threading.Lock()
        self._state: DiskState | None = None
        self._looked_at = 0.0

    def state(self) -> DiskState:
        """The state of the last seconds: free space, and whether a small file can be written."""
        with self._lock:
            now = self._clock()
            if self._state is None or now - self._looked_at >= FRESH_SECONDS:
                self._state = max(map(_look, self._volumes()), key=lambda s: s.room)
                self._looked_at = now
            return self._state

    def _volumes(self) -> list[Path]:
        """A folder of each volume; one that does not exist (yet) has its parent's."""
        found: dict[int, Path] = {}
        for folder in self._folders:
            there = next(p for p in (folder, *folder.parents) if p.is_dir())
            found.setdefault(there.stat().st_dev, there)
        return list(found.values())


@dataclass(frozen=True)
class DiskCheck:
    """Says on the Services page how much room there is."""

    watch: DiskWatch
    name: str = N_("Disk")
    configured: bool = True

    def check(self) -> str:
        """The sentence on the room there is; raises TemporaryFailure where there is too little."""
        state = self.watch.state()
        if state.room is not Room.OK:
            raise TemporaryFailure(state.sentence)
        return state.sentence


def _look(folder: Path) -> DiskState:
    try:
        usage = shutil.disk_usage(folder)
        # Postgres runs as the same user or a lesser one, so what only root may fill is not room.
        no_files_left = hasattr(os, "statvfs") and _files_are_used_up(folder)
        _write(folder)
    except OSError as error:
        why = error.strerror or str(error)
        return DiskState(
            Room.FULL,
            f"full: cannot be written ({why})",
            sentence(
                "The disk of {folder} cannot be written: {why}. Readings and payments are refused "
                "until it can. Make room; nothing that was stored is lost.",
                folder=str(folder),
                why=why,
            ),
        )
    free = _in_words(usage.free)
    if usage.free < FULL_BYTES or no_files_left:
        left = (
            sentence("no more files can be made")
            if no_files_left
            else sentence("{size} free", size=free)
        )
        return DiskState(
            Room.FULL,
            f"full: {left}",
            sentence(
                "The disk of {folder} is full: {left}. Readings and payments may be refused. Make "
                "room; nothing that was stored is lost.",
                folder=str(folder),
                left=left,
            ),
        )
    if usage.free < LOW_BYTES:
        return DiskState(
            Room.LOW,
            f"low: {free} free",
            sentence(
                "The disk of {folder} is getting full: {free} of {total} free. Make room before "
                "less than {least} is left.",
                folder=str(folder),
                free=free,
                total=_in_words(usage.total),
                least=_in_words(FULL_BYTES),
            ),
        )
    said = sentence("{free} of {total} free.", free=free, total=_in_words(usage.total))
    return DiskState(Room.OK, "ok", said)


def _files_are_used_up(folder: Path) -> bool:
    found = os.statvfs(folder)
    return found.f_files > 0 and found.f_favail == 0


def _write(folder: Path) -> None:
    with tempfile.TemporaryFile(prefix=".room-", dir=folder) as file:
        file.write(_PROBE)
        file.flush()


def _in_words(size: int) -> str:
    if size < 1000**3:
        return f"{size // 1000**2} MB"
    return f"{size / 1000**3:.1f} GB"
