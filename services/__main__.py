"""The command line: python -m services COMMAND …; works beside a running app on the same data."""

import argparse
import getpass
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.api_keys import UnusableName, make_api_key
from services.auth import (
    TOKEN_LIFETIME,
    Role,
    UnableToIssueToken,
)
from services.bootstrap import Services, build_services, open_services, tokens_for
from services.database.embedded import EmbeddedPostgresError
from services.database.migrations import MigrationError
from services.database.transport import DatabaseError, TemporaryDatabaseError
from services.demo import NotADemoDatabase, UnableToLoadDemo, load_demo_if_empty
from services.importing import Importer
from services.settings import Settings, SettingsError, load_settings
from services.signing_key import UnableToUseSigningKey

PROGRAM = "python -m services"
MOST_PROBLEMS_SHOWN = 100
EARLIEST_YEAR, LATEST_YEAR = 1990, 2200
LONGEST_TOKEN_HOURS = 24 * 365

# What an operator can do something about: one sentence, no traceback.
ANTICIPATED = (
    SettingsError,
    EmbeddedPostgresError,
    MigrationError,
    DatabaseError,
    UnableToUseSigningKey,
    UnableToIssueToken,
    UnusableName,
    NotADemoDatabase,
    UnableToLoadDemo,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it was done, 1 when not, 2 when the arguments make no sense."""
    given = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace, Settings], int] = given.run
    try:
        return run(given, load_settings())
    except ANTICIPATED as error:
        _say(str(error))
        if isinstance(error, TemporaryDatabaseError):
            _say("Run the same command again: what was done already is not done twice.")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Work with the billing system from the command line, also while it runs.",
        epilog="Settings come from the environment and .env; see .env.example.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_token(commands)
    _add_demo(commands)
    _add_run_job(commands)
    _add_import(commands)
    _add_api_key(commands)
    return parser


Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def _add_token(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("token", help="print a token (JWT) to sign in with")
    command.add_argument("--user", required=True, help="who it stands for")
    _add_role(command)
    default = TOKEN_LIFETIME // timedelta(hours=1)
    command.add_argument(
        "--hours", type=_hours, default=default, help=f"how long it is good for ({default})"
    )
    command.set_defaults(run=_token)


def _add_demo(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("demo", help="load the demo utility into an empty database")
    command.set_defaults(run=_demo)


def _add_run_job(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("run-job", help="run one of the scheduled jobs now")
    command.add_argument("id", metavar="ID", help="such as monthly_bills")
    command.add_argument(
        "--at",
        type=_instant,
        metavar="ISO",
        help="as if it were this time, such as 2026-03-01T02:00",
    )
    command.set_defaults(run=_run_job)


def _add_import(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "import",
        help="bring in customers, meters, readings or tariffs from a file",
        description="Checks the whole file first: if anything in it is wrong, nothing is written.",
    )
    command.add_argument("what", choices=["customers", "meters", "readings", "tariffs"])
    command.add_argument("file", metavar="FILE", type=Path, help="CSV; for tariffs JSON")
    command.set_defaults(run=_import)


def _add_api_key(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("api-key", help="make a key for a program, shown once")
    command.add_argument("name", metavar="NAME", help="which program it is for")
    _add_role(command)
    command.set_defaults(run=_api_key)


def _add_role(command: argparse.ArgumentParser) -> None:
    roles = [role.value for role in Role]
    command.add_argument("--role", required=True, choices=roles, help="what it may do")


def _token(given: argparse.Namespace, settings: Settings) -> int:
    lifetime = timedelta(hours=given.hours)
    print(tokens_for(settings).issue(given.user, Role(given.role), _now(), lifetime))
    return 0


def _demo(_: argparse.Namespace, settings: Settings) -> int:
    services = build_services(settings)
    try:
        loaded = load_demo_if_empty(services, _now())
        print(loaded or "The demo utility is loaded already; nothing was added.")
    finally:
        services.close()
    return 0


def _run_job(given: argparse.Namespace, settings: Settings) -> int:
    # Imported here: the scheduler's own imports are for nothing in the other commands.
    from scheduler import JobAlreadyRunning, UnknownJob, job_of, run_job  # noqa: PLC0415

    at = given.at or _now()
    if at.tzinfo is None:
        at = at.replace(tzinfo=settings.timezone)
    try:
        job_of(given.id)
        with _working(settings) as services:
            run = run_job(services, given.id, at.astimezone(UTC), _actor())
            aside = services.database.set_aside(job=run.job, scheduled_on=run.scheduled_on)
    except (UnknownJob, JobAlreadyRunning) as error:
        _say(str(error))
        return 1
    print(f"{run.job} for {run.scheduled_on}: {run.status}, {run.done_count} done, ", end="")
    print(f"{run.failed_count} set aside{f' ({run.detail})' if run.detail else ''}")
    for row in aside:
        print(f"  {row['subject']}: {row['reason']}")
    return 0 if run.status == "done" else 1


def _import(given: argparse.Namespace, settings: Settings) -> int:
    with _working(settings) as services:
        importer = Importer(services.database, settings.timezone)
        report = importer.run(given.what, given.file, actor=_actor(), now=_now())
    if report.ignored_columns:
        _say(f"Columns that were ignored: {', '.join(report.ignored_columns)}.")
    for problem in report.errors[:MOST_PROBLEMS_SHOWN]:
        _say(str(problem))
    if len(report.errors) > MOST_PROBLEMS_SHOWN:
        _say(f"… and {len(report.errors) - MOST_PROBLEMS_SHOWN} more.")
    if report.ok:
        print(f"{given.what}: {report.summary}")
        return 0
    _say(f"{given.what}: {report.summary}")
    return 1


def _api_key(given: argparse.Namespace, settings: Settings) -> int:
    with _working(settings) as services:
        key = make_api_key(
            services.database, actor=_actor(), name=given.name, role=Role(given.role)
        )
    print(key)
    _say("Keep it now: it is shown this once.")
    return 0


@contextmanager
def _working(settings: Settings) -> Iterator[Services]:
    """The services on the database of the settings; with the demo its data and its head-end."""
    if settings.demo:
        _say("Working in the demo's database; DEMO=off is your own.")
    services = open_services(settings, now=_now())
    try:
        yield services
    finally:
        services.close()


def _actor() -> str:
    """Who does it, for the audit trail."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError, ImportError):
        return "cli:unknown"


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 < hours <= LONGEST_TOKEN_HOURS:
        raise argparse.ArgumentTypeError(f"must be more than 0 and at most {LONGEST_TOKEN_HOURS}")
    return hours


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if not EARLIEST_YEAR <= at.year <= LATEST_YEAR:
            raise ValueError(text)
        return at
    except ValueError:
        wanted = f"must be a date and time such as 2026-03-01T02:00, not {text[:40]!r}"
        raise argparse.ArgumentTypeError(wanted) from None


def _now() -> datetime:
    return datetime.now(UTC)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
