"""Full exports in the office: made into a folder of the utility's data, and taken from there."""

import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from services.database.service import DatabaseService
from services.database.transport import DatabaseError
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.importing.full_export.writer import Exported, FullExport
from services.importing.writing import Progress
from services.utility_settings.current import CurrentSettings

log = logging.getLogger(__name__)

KEPT: Final = 3
_NAME: Final = re.compile(r"export-[0-9]{8}-[0-9]{6}\.zip")


class UnableToExport(Exception):
    """An export could not be made, and nothing of it was kept; the message says why."""


@dataclass(frozen=True, slots=True)
class ExportFile:
    """An export that was made: its name, when (UTC), and its size in bytes."""

    name: str
    made_at: datetime
    size: int


@dataclass(frozen=True, slots=True)
class FullExports:
    """Full exports. Each method raises NotAllowed for who is no administrator."""

    database: DatabaseService
    settings: CurrentSettings
    folder: Path

    def make(self, *, principal: Principal, now: datetime, progress: Progress) -> Exported:
        """Make an export; the last few are kept. Raises UnableToExport."""
        require(principal, Permission.EXPORT_FILES)
        held = self.settings()
        name = f"export-{now.astimezone(UTC):%Y%m%d-%H%M%S}.zip"
        export = FullExport(
            self.database, held.timezone, utility=held.utility_name, progress=progress
        )
        try:
            exported = export.write(self.folder / name, now=now)
        except (DatabaseError, OSError) as error:
            log.warning("an export failed: %s", error)
            why = error.strerror if isinstance(error, OSError) else None
            raise UnableToExport((why or str(error)).rstrip(".")) from error
        for old in self.made(principal=principal)[KEPT:]:
            (self.folder / old.name).unlink(missing_ok=True)
        return exported

    def made(self, *, principal: Principal) -> list[ExportFile]:
        """The exports that are kept, the newest first."""
        require(principal, Permission.EXPORT_FILES)
        paths = [path for path in self.folder.glob("*.zip") if _NAME.fullmatch(path.name)]
        return [_file_of(path) for path in sorted(paths, reverse=True)]

    def path_of(self, name: str, *, principal: Principal) -> Path | None:
        """Where an export lies, or None when there is none of that name."""
        require(principal, Permission.EXPORT_FILES)
        path = self.folder / name
        return path if _NAME.fullmatch(name) and path.is_file() else None


def _file_of(path: Path) -> ExportFile:
    about = path.stat()
    return ExportFile(path.name, datetime.fromtimestamp(about.st_mtime, UTC), about.st_size)
