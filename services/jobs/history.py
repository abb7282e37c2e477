"""The runs of jobs as administrators look them up, what each could not do, and their pause."""

from datetime import date

from services.container import Services
from services.identity.auth import Principal, require
from services.identity.permissions import Permission
from services.languages.sentence import sentence
from services.records.base import Page
from services.records.jobs import JobRun, SetAside


def job_runs(
    services: Services, *, principal: Principal, page: int, page_size: int
) -> Page[JobRun]:
    """Runs, the last started first; raises NotAllowed."""
    require(principal, Permission.VIEW_SYSTEM)
    return services.database.job_runs(page=page, page_size=page_size)


def set_aside_by_run(
    services: Services, *, job: str, scheduled_on: date, principal: Principal
) -> list[SetAside]:
    """What the run of a local date could not do (at most 1,000); raises NotAllowed."""
    require(principal, Permission.VIEW_SYSTEM)
    return services.database.set_aside(job=job, scheduled_on=scheduled_on)


def pause_run(services: Services, run: JobRun, *, principal: Principal) -> JobRun:
    """Hold a run that is under way; raises NotAllowed, IllegalChange where it is over."""
    require(principal, Permission.RUN_JOBS)
    return services.database.pause_job_run(
        actor=principal.user,
        job=run.job,
        scheduled_on=run.scheduled_on,
        detail=sentence("Paused by {user}.", user=principal.user),
    )


def resume_run(services: Services, run: JobRun, *, principal: Principal) -> JobRun:
    """Let a paused run go on within a minute; raises NotAllowed, IllegalChange."""
    require(principal, Permission.RUN_JOBS)
    return services.database.resume_job_run(
        actor=principal.user, job=run.job, scheduled_on=run.scheduled_on
    )
