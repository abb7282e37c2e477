"""The commands backup and restore."""

import argparse
from contextlib import ExitStack
from datetime import UTC
from pathlib import Path

from services.backups.archive import SETTINGS, Manifest
from services.backups.backups import backup_for_event
from services.backups.making import make_backup
from services.backups.restoring import (
    UnableToRestore,
    check_backup,
    holds_data,
    restore_backup,
    restore_secrets,
)
from services.bootstrap_database import MIGRATIONS, database_address
from services.commands.arguments import Commands
from services.commands.working import say, utc_now
from services.database.embedded.locks import claim_app
from services.graph import forget_embedded_graph
from services.identity.signing_key import FILE_NAME
from services.quantities.counting import count
from services.quantities.written import file_size
from services.settings import Settings, variables_set

BEFORE_RESTORE = "before-restore"


def add_backup(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command backup."""
    command = commands.add_parser(
        "backup",
        help="write the whole database into one file, also while the app runs",
        description="The file is read back before it has its name; another backup of that name "
        "is then replaced.",
    )
    command.add_argument("file", metavar="FILE", type=Path, help="such as /mnt/disk/billing.zip")
    command.add_argument(
        "--with-secrets",
        action="store_true",
        help="also the signing key and every setting, passwords and keys of providers among them",
    )
    command.set_defaults(run=_backup)


def add_restore(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command restore."""
    command = commands.add_parser(
        "restore",
        help="bring the database of a backup back, while the app is stopped",
        description="The backup is restored beside and compared before it takes the place of what "
        "is there; an older one is brought up to date.",
    )
    command.add_argument("file", metavar="FILE", type=Path)
    command.add_argument(
        "--replace",
        action="store_true",
        help="replace a database with data in it, after a backup of that",
    )
    command.add_argument(
        "--with-secrets",
        action="store_true",
        help="also the signing key and the settings, if the backup has them",
    )
    command.set_defaults(run=_restore)


def _backup(given: argparse.Namespace, settings: Settings) -> int:
    if settings.demo:
        say("This is the demo's database; DEMO=off is your own.")
    path = given.file.expanduser().absolute()
    secrets = (settings.data_dir, variables_set()) if given.with_secrets else None
    with database_address(settings) as dsn:
        made = make_backup(dsn, path, demo=settings.demo, secrets=secrets)
    tables, rows = len(made.manifest.tables), made.manifest.rows
    print(f"{path}: {count(tables, 'table')}, {count(rows, 'row')}, {file_size(made.size)}.")
    if given.with_secrets:
        say(
            "It holds the signing key, passwords and keys in the clear: whoever reads it can act "
            "as you. Keep it where only you can."
        )
    return 0


def _restore(given: argparse.Namespace, settings: Settings) -> int:
    path = given.file.expanduser().absolute()
    manifest = check_backup(path, demo=settings.demo, migrations=MIGRATIONS)
    made_at = manifest.made_at.astimezone(UTC)
    say(f"A whole backup, of {made_at:%Y-%m-%d %H:%M} UTC by version {manifest.version}.")
    with ExitStack() as undo:
        if settings.embedded:
            undo.enter_context(claim_app(settings.data_dir))
        dsn = undo.enter_context(database_address(settings))
        if holds_data(dsn):
            _keep_what_is_there(given, settings, dsn)
        done = restore_backup(path, dsn, migrations=MIGRATIONS, say=say)
        forget_embedded_graph(settings)
    if settings.neo4j_uri is not None:
        say("The graph is another database's now: .venv/bin/python -m services graph rebuild")
    if done.migrated:
        say(f"It was brought up to date ({count(done.migrated, 'migration')}).")
    say(
        "Everybody signs in again. Users, roles, passwords and API keys are as they were then: "
        "look whether some were disabled, changed or revoked since."
    )
    if done.left:
        say(
            "What was there could not be dropped: it is on the server as the database "
            f"{done.left}, and the next restore drops it."
        )
    tables, rows = len(manifest.tables), manifest.rows
    print(f"Restored {count(tables, 'table')}, {count(rows, 'row')}, all as in the backup.")
    _restore_secrets(given, settings, manifest)
    return 0


def _restore_secrets(given: argparse.Namespace, settings: Settings, manifest: Manifest) -> None:
    if given.with_secrets:
        for restored in restore_secrets(given.file.expanduser().absolute(), settings.data_dir):
            say(f"{restored} was restored.")
    elif SETTINGS in manifest.parts:
        say("The backup holds secrets, which were left out; --with-secrets restores them.")
    if not (settings.data_dir / FILE_NAME).exists():
        say(
            f"There is no {FILE_NAME} in {settings.data_dir}: put the old one there, or everybody "
            "signs in again, and codes of authenticator apps no longer count (docs/backup.md)."
        )


def _keep_what_is_there(given: argparse.Namespace, settings: Settings, dsn: str) -> None:
    if not given.replace:
        raise UnableToRestore(
            "There is data in this database already, so nothing was restored. --replace restores "
            "over it, after a backup of what is there; another DATA_DIR leaves it alone."
        )
    kept = backup_for_event(
        BEFORE_RESTORE,
        dsn,
        settings.backups_folder,
        data_dir=settings.data_dir,
        demo=settings.demo,
        now=utc_now(),
    )
    say(f"What was there is kept in {kept.path}.")
