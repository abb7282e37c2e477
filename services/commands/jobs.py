"""Commands around the scheduled jobs: run-job, confirm-clock."""

import argparse
from datetime import date, datetime

from services.commands.arguments import Commands, instant
from services.commands.working import actor, say, working
from services.container import Services
from services.jobs.clock import ClockInDoubt, ClockWatch
from services.quantities.period import local_date
from services.quantities.written import moment
from services.settings import Settings


def add_run_job(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command run-job."""
    command = commands.add_parser("run-job", help="run one of the scheduled jobs now")
    command.add_argument("id", metavar="ID", help="such as monthly_bills")
    command.add_argument(
        "--at",
        type=instant,
        metavar="ISO",
        help="the run of this date, such as 2026-03-01: it chooses the month, not the issue date",
    )
    command.set_defaults(run=_run_job)


def add_confirm_clock(commands: "Commands[argparse.ArgumentParser]") -> None:
    """The command confirm-clock."""
    command = commands.add_parser(
        "confirm-clock", help="say that the clock is right, so that held jobs go on"
    )
    command.set_defaults(run=_confirm_clock)


def _run_job(given: argparse.Namespace, settings: Settings) -> int:
    # Imported here: the scheduler's own imports are for nothing in the other commands.
    from services.jobs.by_hand import DateToCome, JobAlreadyRunning, run_job  # noqa: PLC0415
    from services.jobs.jobs import UnknownJob, job_of  # noqa: PLC0415

    try:
        job_of(given.id)
        with working(settings) as services:
            at = _watch(services).now()
            on = _local_date(given.at or at, services.settings)
            run = run_job(services, given.id, at, actor(), on=on)
            aside = services.database.set_aside(job=run.job, scheduled_on=run.scheduled_on)
    except (UnknownJob, JobAlreadyRunning, DateToCome) as error:
        say(str(error))
        return 1
    except ClockInDoubt as error:
        say(f"No job runs: {error}")
        say("If the clock is right: .venv/bin/python -m services confirm-clock")
        return 1
    print(f"{run.job} for {run.scheduled_on}: {run.status}, {run.done_count} done, ", end="")
    print(f"{run.failed_count} set aside{f' ({run.detail})' if run.detail else ''}")
    for row in aside:
        print(f"  {row.subject}: {row.reason}")
    return 0 if run.status == "done" else 1


def _confirm_clock(_: argparse.Namespace, settings: Settings) -> int:
    with working(settings) as services:
        watch = _watch(services)
        try:
            watch.confirm(by=actor())
        except ClockInDoubt as error:
            say(str(error))
            return 1
        taken = moment(watch.now(), services.settings.timezone)
    print(f"The clock is taken as right: {taken}.")
    return 0


def _watch(services: Services) -> ClockWatch:
    return ClockWatch(database=services.database, zone=services.settings.timezone)


def _local_date(at: datetime, settings: Settings) -> date:
    """The utility's local date of an instant; one without a zone is local already."""
    return at.date() if at.tzinfo is None else local_date(at, settings.timezone)
