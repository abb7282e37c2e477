"""What the Services page and /api/health say of backups."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from services.backups.backups import Backups
from services.backups.copies import CopyPlace, UnableToCopy
from services.database.service import DatabaseService
from services.database.transport import DatabaseError
from services.integrations.failures import TemporaryFailure
from services.languages.sentence import N_, sentence, sentence_of
from services.quantities.period import local_date
from services.quantities.written import file_size, moment

# The job Backup begins at this hour of the utility's day, and has an hour for it.
_BEGINS_AT: Final = time(1)
_TAKES: Final = timedelta(hours=1)


@dataclass(frozen=True)
class BackupCheck:
    """Says when the last good nightly backup was made, and whether it is elsewhere too."""

    backups: Backups
    database: DatabaseService
    name: str = N_("Backups")

    @property
    def configured(self) -> bool:
        """Whether backups are made of this database."""
        return not self.backups.off

    @property
    def unused(self) -> str:
        """Why none are made."""
        return self.backups.off

    @property
    def switched_off(self) -> str:
        """The same where a setting says so; a project of Supabase has no address to copy by."""
        return self.backups.off if self.backups.dsn else ""

    def check(self) -> str:
        """The last good nightly backup; raises TemporaryFailure if it is late or not copied."""
        now = datetime.now(UTC)
        said = self._last(now)
        first = _first_due(self.backups, self.database, now=now)
        overdue = first is not None and now > first + _TAKES
        if overdue or is_late(self.backups, self.database, now=now):
            wrong = sentence("There should be a younger one: the page Jobs says what went wrong.")
            raise TemporaryFailure(f"{said} {wrong}")
        if self.backups.copies is None:
            nowhere = sentence("It is copied nowhere else (BACKUP_COPY_TO).")
            return f"{said} {nowhere}"
        return f"{said} {self._look_elsewhere(self.backups.copies, now)}"

    def _look_elsewhere(self, place: CopyPlace, now: datetime) -> str:
        last = self.backups.last(now=now)
        try:
            there = place.sizes()
        except UnableToCopy as error:
            why = sentence("Copies cannot be made: {error}.", error=sentence_of(error))
            raise TemporaryFailure(f"{self._last(now)} {why}") from None
        if last is not None and there.get(last.path.name) != last.size:
            trouble = self.backups.copy_trouble
            missing = (
                sentence("It is not in {place} yet: {why}.", place=place.name, why=trouble)
                if trouble
                else sentence("It is not in {place} yet.", place=place.name)
            )
            raise TemporaryFailure(f"{self._last(now)} {missing}")
        return sentence("Copies go to {place}.", place=place.name)

    def _last(self, now: datetime) -> str:
        last = self.backups.last(now=now)
        if last is None:
            first = _first_due(self.backups, self.database, now=now)
            if first is None:
                return sentence("Last nightly backup: none yet.")
            due = moment(first, self.backups.zone)
            if first <= now:
                return sentence("Last nightly backup: none yet; the first was due on {at}.", at=due)
            return sentence("Last nightly backup: none yet; the first is due on {at}.", at=due)
        return sentence(
            "Last nightly backup: {at}, {size}, in {folder}.",
            at=moment(last.at, self.backups.zone),
            size=file_size(last.size),
            folder=str(self.backups.folder),
        )


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


def _first_due(backups: Backups, database: DatabaseService, *, now: datetime) -> datetime | None:
    """When the first nightly backup is or was due; None once there is one, or if nobody knows."""
    if backups.last(now=now) is not None:
        return None
    try:
        since = database.installed_at()
    except DatabaseError:
        return None
    day = local_date(since, backups.zone)
    due = datetime.combine(day, _BEGINS_AT, backups.zone)
    if due <= since:
        due = datetime.combine(day + timedelta(days=1), _BEGINS_AT, backups.zone)
    return due.astimezone(UTC)


def backup_state(
    backups: Backups, database: DatabaseService | None, *, now: datetime
) -> tuple[str, bool]:
    """The last good nightly backup in a few words, without paths, and whether that is well."""
    if backups.off:
        return "off" if backups.dsn else "not configured", True
    last, late = backups.last(now=now), is_late(backups, database, now=now)
    said = f"nightly: {last.at.isoformat(timespec='seconds')}" if last else "nightly: none yet"
    words = [said, *(["late"] if late else []), *(["copies fail"] if backups.copy_trouble else [])]
    return ", ".join(words), not late
