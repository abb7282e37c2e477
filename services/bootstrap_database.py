"""Where the database is: reached, backed up and brought up to date before anybody works with it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

from services.backups.backups import Backups, backup_for_event
from services.backups.copies import copy_place
from services.backups.making import UnableToBackUp
from services.backups.retention import Keep
from services.database.embedded import EmbeddedPostgres
from services.database.schema.migrations import (
    MigrationError,
    apply_migrations,
    upgrades,
    upgrading_alone,
)
from services.database.schema.roles import prepare_roles
from services.database.schema.schema_check import check_schema
from services.database.transport import Transport
from services.database.transports.postgres import DirectTransport
from services.languages.sentence import N_
from services.settings import PROJECT_FOLDER, Settings, SettingsError

MIGRATIONS: Final = PROJECT_FOLDER / "supabase" / "migrations"
OWN_DATABASE: Final = "billing"
DEMO_DATABASE: Final = "demo"
BEFORE_UPGRADE = "before-upgrade"
BY_SUPABASE = N_("A Supabase project is backed up and restored by Supabase; see docs/backup.md.")
DEMO_UNKEPT = N_("The demo's database is not backed up each night, unless BACKUP_NIGHTLY is on.")
_OFF = N_("Nightly backups are off (BACKUP_NIGHTLY).")

log = logging.getLogger(__name__)


class UnableToUpgrade(MigrationError):
    """The database could not be backed up before it is changed, so it is as it was."""


def open_database(
    settings: Settings, server: EmbeddedPostgres | None, closers: list[Callable[[], None]]
) -> tuple[Transport, str | None]:
    """A way to a database whose schema is as this version needs it, and its DSN if it has one."""
    if settings.supabase_url is not None:
        return _open_supabase(settings), None
    dsn = _database_address(settings, server, closers)
    if upgrades(dsn, MIGRATIONS):
        with upgrading_alone(dsn):
            # Another process may have upgraded it while this one waited.
            if upgrades(dsn, MIGRATIONS):
                _back_up_before_upgrade(settings, dsn)
            apply_migrations(dsn, MIGRATIONS)
    else:
        apply_migrations(dsn, MIGRATIONS)
    return DirectTransport(dsn), dsn


def _back_up_before_upgrade(settings: Settings, dsn: str) -> None:
    """Keep what a newer version is about to change (docs/decisions/0044)."""
    if not settings.embedded or settings.demo:
        return
    try:
        made = backup_for_event(
            BEFORE_UPGRADE,
            dsn,
            settings.backups_folder,
            data_dir=settings.data_dir,
            demo=settings.demo,
            now=datetime.now(UTC),
        )
    except UnableToBackUp as error:
        raise UnableToUpgrade(
            f"This version is newer than the database and would change it, which needs a backup "
            f"first. {error} The version before this one still works with the database."
        ) from error
    log.info("The database is brought up to date; as it was before, it is in %s.", made.path)


@contextmanager
def database_address(settings: Settings) -> Iterator[str]:
    """The DSN of the database of the settings, whatever its schema; its server runs meanwhile.

    Raises SettingsError for a Supabase project, EmbeddedPostgresError, DatabaseError.
    """
    if settings.supabase_url is not None:
        raise SettingsError([f"SUPABASE_URL: {BY_SUPABASE}"])
    closers: list[Callable[[], None]] = []
    try:
        server = EmbeddedPostgres(settings.data_dir) if settings.embedded else None
        yield _database_address(settings, server, closers)
    finally:
        for close in reversed(closers):
            close()


def _open_supabase(settings: Settings) -> Transport:
    # Supabase's client takes a second to load, which only those who use it should wait.
    from services.database.transports.supabase import RestTransport  # noqa: PLC0415

    url, key = settings.supabase_url, settings.supabase_service_key
    if url is None or key is None:
        raise SettingsError(["SUPABASE_SERVICE_KEY: needed beside SUPABASE_URL."])
    try:
        transport = RestTransport(url, key.get_secret_value())
    except ValueError as error:
        raise SettingsError([str(error)]) from None
    try:
        check_schema(transport, MIGRATIONS)
    except BaseException:
        transport.close()
        raise
    return transport


def _database_address(
    settings: Settings, server: EmbeddedPostgres | None, closers: list[Callable[[], None]]
) -> str:
    if settings.database_url is not None:
        dsn = settings.database_url.get_secret_value()
        prepare_roles(dsn)
        return dsn
    if server is None:
        raise SettingsError(["DATABASE_URL: there is no database to work with."])
    server.start()
    closers.append(server.stop)
    return server.database(DEMO_DATABASE if settings.demo else OWN_DATABASE)


def backups_of(settings: Settings, dsn: str | None) -> Backups:
    """The nightly backups, or why there are none."""
    off = ""
    if dsn is None:
        off = BY_SUPABASE
    elif not settings.backup_nightly:
        off = DEMO_UNKEPT if settings.demo else _OFF
    secret = settings.backup_s3_secret
    options = {
        "endpoint": settings.backup_s3_endpoint,
        "region": settings.backup_s3_region,
        "access_key_id": settings.backup_s3_key_id,
        "secret_access_key": secret.get_secret_value() if secret else None,
    }
    given = {name: value for name, value in options.items() if value}
    return Backups(
        dsn=dsn or "",
        folder=settings.backups_folder,
        demo=settings.demo,
        data_dir=settings.data_dir,
        keep=Keep(*settings.backup_keep),
        zone=settings.timezone,
        copies=copy_place(settings.backup_copy_to, given) if settings.backup_copy_to else None,
        off=off,
    )
