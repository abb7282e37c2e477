"""What the Services page and /api/health say of backups."""

from dataclasses import dataclass
from datetime import UTC, datetime

from services.backups.backups import Backups
from services.backups.copies import CopyPlace, UnableToCopy
from services.database.service import DatabaseService
from services.database.transport import DatabaseError
from services.integrations.failures import TemporaryFailure
from services.quantities.written import file_size, moment


@dataclass(frozen=True)
class BackupCheck:
    """Says when the last good backup was made, and whether it is elsewhere too."""

    backups: Backups
    database: DatabaseService
    name: str = "Backups"

    @property
    def configured(self) -> bool:
        """Whether backups are made of this database."""
        return not self.backups.off

    @property
    def unused(self) -> str:
        """Why none are made."""
        return self.backups.off

    def check(self) -> str:
        """The last good backup; raises TemporaryFailure if it is late, or is not elsewhere too."""
        now = datetime.now(UTC)
        said = self._last(now)
        if is_late(self.backups, self.database, now=now):
            raise TemporaryFailure(
                f"{said} There should be a younger one: the page Jobs says what went wrong."
            )
        if self.backups.copies is None:
            return f"{said} It is copied nowhere else (BACKUP_COPY_TO)."
        return f"{said} {self._look_elsewhere(self.backups.copies, now)}"

    def _look_elsewhere(self, place: CopyPlace, now: datetime) -> str:
        last = self.backups.last(now=now)
        try:
            there = place.sizes()
        except UnableToCopy as error:
            raise TemporaryFailure(f"{self._last(now)} Copies cannot be made: {error}.") from None
        if last is not None and there.get(last.path.name) != last.size:
            why = f": {self.backups.copy_trouble}" if self.backups.copy_trouble else ""
            raise TemporaryFailure(f"{self._last(now)} It is not in {place.name} yet{why}.")
        return f"Copies go to {place.name}."

    def _last(self, now: datetime) -> str:
        last = self.backups.last(now=now)
        if last is None:
            return "Last good backup: none yet."
        at = moment(last.at, self.backups.zone)
        return f"Last good backup: {at}, {file_size(last.size)}, in {self.backups.folder}."


def is_late(backups: Backups, database: DatabaseService | None, *, now: datetime) -> bool:
    """Whether the last good backup is too old, or there is none a while after the installation.

    When that was is not asked without a database.
    """
    since = None
    if not backups.off and backups.last(now=now) is None and database is not None:
        try:
            since = database.installed_at()
        except DatabaseError:
            return False
    return backups.is_late(now=now, since=since)


def backup_state(
    backups: Backups, database: DatabaseService | None, *, now: datetime
) -> tuple[str, bool]:
    """The last good backup in a few words, without paths, and whether that is well."""
    if backups.off:
        return "not configured", True
    last, late = backups.last(now=now), is_late(backups, database, now=now)
    said = f"last good backup {last.at.isoformat(timespec='seconds')}" if last else "none yet"
    words = [said, *(["late"] if late else []), *(["copies fail"] if backups.copy_trouble else [])]
    return ", ".join(words), not late
