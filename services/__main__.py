"""The command line: python -m services COMMAND …; works beside a running app on the same data."""

import argparse
import getpass
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import get_args

from services.bootstrap import build_services, open_services, passwordless_for, tokens_for
from services.container import Services
from services.database.embedded import EmbeddedPostgresError
from services.database.schema.migrations import MigrationError
from services.database.transport import DatabaseError, TemporaryDatabaseError
from services.demo import NotADemoDatabase, UnableToLoadDemo, load_demo_if_empty
from services.identity.api_keys import DEFAULT_LIFETIME, UnusableName, make_api_key
from services.identity.auth import (
    TOKEN_LIFETIME,
    Role,
    Scope,
    UnableToIssueToken,
)
from services.identity.passwordless import UnableToKeepLinks
from services.identity.signing_key import UnableToUseSigningKey
from services.importing import Importer, WhatToImport
from services.importing.load_file import DEFAULT_YEAR, YEARS, read_load
from services.importing.numbers import DecimalSign
from services.importing.source import UnreadableFile
from services.importing.urdb import UnusableRate
from services.integrations.failures import FinalFailure, TemporaryFailure
from services.jobs.clock import ClockInDoubt, ClockWatch
from services.quantities.period import local_date
from services.rating import UnableToPriceBill
from services.settings import Settings, SettingsError, load_settings
from services.tariff_publishing.price_load import price_load, tariff_of_file, tariff_of_rate
from services.tariffs import InvalidTariff

PROGRAM = "python -m services"
MOST_PROBLEMS_SHOWN = 100
EARLIEST_YEAR, LATEST_YEAR = 1990, 2200
LONGEST_TOKEN_HOURS = 24 * 365
LONGEST_KEY_DAYS = 10 * 365
GRAPH_START_SECONDS = 90

# What an operator can do something about: one sentence, no traceback.
ANTICIPATED = (
    SettingsError,
    EmbeddedPostgresError,
    MigrationError,
    DatabaseError,
    UnableToUseSigningKey,
    UnableToIssueToken,
    UnableToKeepLinks,
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
    _add_sign_in(commands)
    _add_token(commands)
    _add_demo(commands)
    _add_run_job(commands)
    _add_confirm_clock(commands)
    _add_import(commands)
    _add_api_key(commands)
    _add_graph(commands)
    _add_price(commands)
    return parser


Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def _add_sign_in(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "sign-in",
        help="print a link that signs a browser on this machine in without a password",
        description="The link works once, within 12 hours, while the app runs.",
    )
    command.set_defaults(run=_sign_in)


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
        help="the run of this date, such as 2026-03-01: it chooses the month, not the issue date",
    )
    command.set_defaults(run=_run_job)


def _add_confirm_clock(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "confirm-clock", help="say that the clock is right, so that held jobs go on"
    )
    command.set_defaults(run=_confirm_clock)


def _add_import(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "import",
        help="bring in customers, meters, readings … from a file",
        description="Checks the whole file first: if anything in it is wrong, nothing is written.",
    )
    command.add_argument("what", choices=get_args(WhatToImport))
    command.add_argument(
        "file", metavar="FILE", type=Path, help="CSV; for tariffs JSON, also OpenEI's URDB"
    )
    command.add_argument(
        "--effective-from",
        type=_date,
        metavar="DATE",
        help="from when URDB rates hold here; without it from their own start date",
    )
    _add_decimal(command)
    command.add_argument(
        "--allow-similar",
        action="store_true",
        help="add customers or meters that look like known ones, such as 123 beside 00123",
    )
    command.set_defaults(run=_import)


def _add_api_key(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("api-key", help="make a key for a program, shown once")
    command.add_argument("name", metavar="NAME", help="which program it is for")
    _add_role(command)
    command.add_argument(
        "--scope",
        choices=get_args(Scope),
        default="all",
        help="what it is for: all that the role may, or one thing alone (%(default)s)",
    )
    command.add_argument(
        "--days",
        type=_days,
        default=DEFAULT_LIFETIME.days,
        help="how long it is good for (%(default)s)",
    )
    command.set_defaults(run=_api_key)


def _add_graph(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("graph", help="make the graph again from the database")
    command.add_argument("what", choices=["rebuild"])
    command.set_defaults(run=_graph_rebuild)


def _add_price(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "price",
        help="price a load by a rate, month by month, without a database",
        description="Prints each month's total, and its charges unrounded, as JSON.",
    )
    by = command.add_mutually_exclusive_group(required=True)
    by.add_argument("--urdb", type=Path, metavar="FILE", help="a rate of OpenEI's URDB, JSON")
    by.add_argument("--tariff", type=Path, metavar="FILE", help="a tariff in this project's format")
    command.add_argument(
        "--load",
        required=True,
        type=Path,
        metavar="FILE",
        help="CSV: a column kwh of each hour from 1 January, or with a column timestamp",
    )
    _add_decimal(command)
    command.add_argument("--year", type=_year, help=f"which year it is ({DEFAULT_YEAR})")
    command.add_argument("--label", help="which rate of the file, where it has several")
    command.add_argument(
        "--days-as",
        choices=["average_month", "actual"],
        default="average_month",
        help="what $/day counts in a URDB rate: 365/12 days a month, or the month's (%(default)s)",
    )
    command.set_defaults(run=_price)


def _add_decimal(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--decimal",
        choices=get_args(DecimalSign),
        help="the decimal sign of the file's numbers, where the file does not show it",
    )


def _add_role(command: argparse.ArgumentParser) -> None:
    roles = [role.value for role in Role]
    command.add_argument("--role", required=True, choices=roles, help="what it may do")


def _sign_in(_: argparse.Namespace, settings: Settings) -> int:
    passwordless = passwordless_for(settings)
    if passwordless is None:
        _say("With AUTH0_DOMAIN set, people sign in through Auth0: open the app and sign in there.")
        return 1
    print(passwordless.links.make(_now()))
    return 0


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
    from services.jobs.by_hand import DateToCome, JobAlreadyRunning, run_job  # noqa: PLC0415
    from services.jobs.jobs import UnknownJob, job_of  # noqa: PLC0415

    try:
        job_of(given.id)
        with _working(settings) as services:
            at = _watch(services).now()
            on = _local_date(given.at or at, settings)
            run = run_job(services, given.id, at, _actor(), on=on)
            aside = services.database.set_aside(job=run.job, scheduled_on=run.scheduled_on)
    except (UnknownJob, JobAlreadyRunning, DateToCome) as error:
        _say(str(error))
        return 1
    except ClockInDoubt as error:
        _say(f"No job runs: {error}")
        _say("If the clock is right: python -m services confirm-clock")
        return 1
    print(f"{run.job} for {run.scheduled_on}: {run.status}, {run.done_count} done, ", end="")
    print(f"{run.failed_count} set aside{f' ({run.detail})' if run.detail else ''}")
    for row in aside:
        print(f"  {row['subject']}: {row['reason']}")
    return 0 if run.status == "done" else 1


def _confirm_clock(_: argparse.Namespace, settings: Settings) -> int:
    with _working(settings) as services:
        watch = _watch(services)
        try:
            watch.confirm(by=_actor())
        except ClockInDoubt as error:
            _say(str(error))
            return 1
        now = watch.now()
    print(f"The clock is taken as right: {now.astimezone(settings.timezone):%d %B %Y, %H:%M}.")
    return 0


def _watch(services: Services) -> ClockWatch:
    return ClockWatch(database=services.database, zone=services.settings.timezone)


def _local_date(at: datetime, settings: Settings) -> date:
    """The utility's local date of an instant; one without a zone is local already."""
    return at.date() if at.tzinfo is None else local_date(at, settings.timezone)


def _import(given: argparse.Namespace, settings: Settings) -> int:
    with _working(settings) as services:
        importer = Importer(
            services.database,
            settings.timezone,
            decimal=given.decimal,
            allow_similar=given.allow_similar,
            unknown_daily_wh=settings.unknown_daily_wh,
        )
        report = importer.run(
            given.what,
            given.file,
            actor=_actor(),
            now=_now(),
            effective_from=given.effective_from,
        )
    for remark in report.remarks:
        _say(f"note, {remark}")
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
            services.database,
            actor=_actor(),
            name=given.name,
            role=Role(given.role),
            expires_at=_now() + timedelta(days=given.days),
            scope=given.scope,
        )
    print(key)
    _say("Keep it now: it is shown this once.")
    return 0


def _graph_rebuild(_: argparse.Namespace, settings: Settings) -> int:
    with _working(settings) as services:
        graph = services.graph.graph
        if graph is None:
            _say(f"There is no graph. {services.graph.off}".strip())
            return 1
        began = time.monotonic()
        try:
            graph.await_start(seconds=GRAPH_START_SECONDS)
            counts = graph.rebuild(services.database)
        except (TemporaryFailure, FinalFailure) as failure:
            _say(f"The graph was not rebuilt: {failure}")
            return 1
    for what, found in (("nodes", counts.nodes), ("relationships", counts.relationships)):
        print(f"{sum(found.values()):,} {what}: ", end="")
        print(", ".join(f"{number:,} {name}" for name, number in found.items()))
    print(f"The graph was made again in {time.monotonic() - began:.1f} seconds.")
    return 0


def _price(given: argparse.Namespace, _: Settings) -> int:
    try:
        load = read_load(given.load, year=given.year, decimal=given.decimal)
        if given.tariff:
            tariff = tariff_of_file(given.tariff, code=given.label)
        else:
            tariff, remarks = tariff_of_rate(given.urdb, label=given.label, days_as=given.days_as)
            for path, text in remarks:
                _say(f"note, {path}: {text}." if path else f"note: {text}.")
        months = price_load(tariff, load)
    except UnreadableFile as error:
        _say(str(error.problem))
        return 2
    except (UnusableRate, InvalidTariff, UnableToPriceBill) as error:
        _say(str(error))
        return 2
    print(json.dumps({"months": [m.to_json(currency=tariff.currency) for m in months]}))
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


def _days(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= LONGEST_KEY_DAYS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {LONGEST_KEY_DAYS}")
    return int(text)


def _year(text: str) -> int:
    if not text.isdecimal() or int(text) not in YEARS:
        raise argparse.ArgumentTypeError(f"must be a year such as 2018, not {text[:40]!r}")
    return int(text)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        wanted = f"must be a date such as 2026-04-01, not {text[:40]!r}"
        raise argparse.ArgumentTypeError(wanted) from None


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
