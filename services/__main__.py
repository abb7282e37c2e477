"""The command line, `python -m services COMMAND …`: starts the app, and works beside it."""

import argparse
import sys
from collections.abc import Callable, Sequence

from services import VERSION
from services.backups.making import UnableToBackUp
from services.backups.restoring import UnableToRestore
from services.bootstrap_database import MIGRATIONS
from services.commands import backup, check, data, jobs, price, sign_in, start
from services.commands.working import say
from services.database.embedded import EmbeddedPostgresError
from services.database.embedded.locks import DataFolderInUse, FileLocksUnavailable
from services.database.schema.migrations import MigrationError, newest_version
from services.database.schema.roles import UnableToPrepareRoles
from services.database.transport import DatabaseError, TemporaryDatabaseError
from services.demo import NotADemoDatabase, UnableToLoadDemo
from services.identity.api_keys import UnusableName
from services.identity.auth import UnableToIssueToken
from services.identity.passwordless import UnableToKeepLinks
from services.identity.signing_key import UnableToUseSigningKey
from services.settings import Settings, SettingsError, load_settings
from services.telemetry.journal import start_logging
from services.web.listening import RefusedToListen

PROGRAM = ".venv/bin/python -m services"

# What an operator can do something about: one sentence, no traceback.
ANTICIPATED = (
    SettingsError,
    EmbeddedPostgresError,
    DataFolderInUse,
    FileLocksUnavailable,
    UnableToBackUp,
    UnableToRestore,
    MigrationError,
    UnableToPrepareRoles,
    DatabaseError,
    RefusedToListen,
    UnableToUseSigningKey,
    UnableToIssueToken,
    UnableToKeepLinks,
    UnusableName,
    NotADemoDatabase,
    UnableToLoadDemo,
)


def main(arguments: Sequence[str] | None = None, *, log: bool = False) -> int:
    """Run one command; 0 when it was done, 1 when not, 2 when the arguments make no sense.

    `log` lets the process, which is the command's alone, log to standard error.
    """
    given = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace, Settings], int] = given.run
    try:
        settings = load_settings()
        if log:
            start_logging(level=settings.log_level or "WARNING", secrets=settings.secrets)
        return run(given, settings)
    except ANTICIPATED as error:
        say(str(error))
        if isinstance(error, TemporaryDatabaseError):
            say("Run the same command again: what was done already is not done twice.")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Start the billing system, or work with it while it runs.",
        epilog="Settings come from the environment and .env; see .env.example.",
    )
    version = f"Electricity billing {VERSION}, schema {newest_version(MIGRATIONS)}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    start.add_start(commands)
    sign_in.add_sign_in(commands)
    sign_in.add_token(commands)
    data.add_demo(commands)
    jobs.add_run_job(commands)
    jobs.add_confirm_clock(commands)
    data.add_import(commands)
    data.add_export(commands)
    sign_in.add_api_key(commands)
    data.add_graph(commands)
    backup.add_backup(commands)
    backup.add_restore(commands)
    check.add_check_readings(commands)
    price.add_price(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main(log=True))
