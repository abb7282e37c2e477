"""The backups that the system makes by itself: kept in one folder, copied, thinned and watched."""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from services.backups.copies import CopyPlace, UnableToCopy
from services.backups.making import Made, Pulse, UnableToBackUp, make_backup
from services.backups.retention import Keep, to_drop

log = logging.getLogger(__name__)

LATE: Final = timedelta(hours=36)
KEPT_OF_EVENTS: Final = 3
# For so long a copy that failed is not tried again.
RETRY_SECONDS: Final = 15 * 60.0
_STAMP: Final = "%Y%m%d-%H%M%SZ"
_NAME: Final = re.compile(r"((?:demo-)?backup)-(\d{8}-\d{6}Z)\.zip")
_LEFT_OVER: Final = timedelta(days=1)
_AHEAD: Final = timedelta(minutes=5)

Clock = Callable[[], datetime]


def folder_for(folder: Path, *, data_dir: Path) -> Path:
    """The folder for backups: made if it is ours, for another must be there and be mounted.

    Raises UnableToBackUp.
    """
    if folder.is_relative_to(data_dir):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UnableToBackUp(
                f"No backup was made: {folder} cannot be made ({error.strerror or error})."
            ) from error
    return folder


def backup_for_event(
    event: str, dsn: str, folder: Path, *, data_dir: Path, demo: bool, now: datetime
) -> Made:
    """A backup before something that changes much, such as "before-upgrade"; the last 3 are kept.

    Raises UnableToBackUp.
    """
    kept = folder_for(folder, data_dir=data_dir)
    made = make_backup(dsn, kept / f"{event}-{now.astimezone(UTC):{_STAMP}}.zip", demo=demo)
    _remove(sorted(folder.glob(f"{event}-*.zip"), reverse=True)[KEPT_OF_EVENTS:])
    _remove(_left_over(folder, event, now))
    return made


def _left_over(folder: Path, prefix: str, now: datetime) -> list[Path]:
    """What processes that were killed left of backups."""
    parts = folder.glob(f".{prefix}-*.part")
    return [part for part in parts if _modified(part) < now - _LEFT_OVER]


def _modified(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return datetime.max.replace(tzinfo=UTC)


def _remove(files: Iterable[Path]) -> None:
    """Remove what is no longer kept. One that stays does not make the new backup a bad one."""
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("the old backup %s could not be removed: %s", path, error)


@dataclass(frozen=True, slots=True)
class KeptBackup:
    """A nightly backup: its file, when it was made (UTC), and its size in bytes."""

    path: Path
    at: datetime
    size: int


@dataclass
class Backups:
    """Nightly backups of one database; `off` says why there are none, else it is empty.

    `dsn` is how the database is reached. For many threads.
    """

    dsn: str = field(repr=False)
    folder: Path
    demo: bool
    data_dir: Path
    keep: Keep
    zone: ZoneInfo
    copies: CopyPlace | None = None
    off: str = ""
    copy_trouble: str = ""
    _copied: frozenset[str] = frozenset()
    _copy_after: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def make(
        self, *, now: datetime, pulse: Pulse = lambda: None, at_last: Pulse = lambda: None
    ) -> Made:
        """Make one, and drop those that are no longer kept; see make_backup."""
        folder = folder_for(self.folder, data_dir=self.data_dir)
        path = folder / f"{self._prefix}-{now.astimezone(UTC):{_STAMP}}.zip"
        made = make_backup(self.dsn, path, demo=self.demo, pulse=pulse, at_last=at_last)
        self._drop_old(now)
        # One that was made must not wait for the pause after a copy that failed.
        self._copy_after = 0.0
        return made

    def kept(self) -> list[KeptBackup]:
        """The nightly backups that are there, the newest first."""
        found = filter(None, map(self._kept, self.folder.glob(f"{self._prefix}-*.zip")))
        return sorted(found, key=lambda backup: backup.at, reverse=True)

    def last(self, *, now: datetime) -> KeptBackup | None:
        """The last good one: it has its name only once it was read back. Not one of tomorrow."""
        return next((one for one in self.kept() if one.at <= now + _AHEAD), None)

    def is_late(self, *, now: datetime, since: datetime | None = None) -> bool:
        """Whether there should be a younger one; `since` is when the system was installed."""
        if self.off:
            return False
        last = self.last(now=now)
        begins = last.at if last is not None else since
        return begins is not None and now - begins > LATE

    def copy(self, *, now: datetime) -> None:
        """Copy what is not there yet, the newest first, and thin out there as here.

        Raises UnableToCopy, which `copy_trouble` says until it goes well.
        """
        if self.copies is None:
            return
        with self._lock:
            try:
                self._copy_to(self.copies, now)
            except UnableToCopy as error:
                self.copy_trouble = str(error)
                self._copy_after = time.monotonic() + RETRY_SECONDS
                raise
            self._copied, self.copy_trouble = self._names(), ""

    def copy_if_due(self, *, now: datetime) -> None:
        """Try again what could not be copied, a while after it failed."""
        if self.off or self._copied == self._names() or time.monotonic() < self._copy_after:
            return
        try:
            self.copy(now=now)
        except UnableToCopy as error:
            log.warning("the backups could not be copied: %s", error)

    def _copy_to(self, place: CopyPlace, now: datetime) -> None:
        there = place.sizes()
        here = {backup.path.name: backup for backup in self.kept()}
        dropped = set(self._dropped({*here, *there}, now))
        for name, backup in here.items():
            if name not in dropped and there.get(name) != backup.size:
                place.put(backup.path)
        for name in dropped & there.keys():
            place.remove(name)

    def _dropped(self, names: Iterable[str], now: datetime) -> list[str]:
        made = {at: name for name in names if (at := self._made_at(name)) is not None}
        return [made[at] for at in to_drop(made, self.keep, now=now, zone=self.zone)]

    def _drop_old(self, now: datetime) -> None:
        dropped = self._dropped((backup.path.name for backup in self.kept()), now)
        _remove(self.folder / name for name in dropped)
        _remove(_left_over(self.folder, self._prefix, now))

    def _names(self) -> frozenset[str]:
        return frozenset(backup.path.name for backup in self.kept())

    @property
    def _prefix(self) -> str:
        return "demo-backup" if self.demo else "backup"

    def _kept(self, path: Path) -> KeptBackup | None:
        at = self._made_at(path.name)
        try:
            return KeptBackup(path, at, path.stat().st_size) if at is not None else None
        except FileNotFoundError:
            # Another process dropped it just now.
            return None

    def _made_at(self, name: str) -> datetime | None:
        """When a backup of this database was made, by its name; None for any other file."""
        match = _NAME.fullmatch(name)
        if match is None or match[1] != self._prefix:
            return None
        try:
            return datetime.strptime(match[2], _STAMP).replace(tzinfo=UTC)
        except ValueError:
            return None
