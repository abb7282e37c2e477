"""The jobs as cards: what each does, when it is due, how its last run went, and run now."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

import streamlit as st

from pages.languages.words import Said, _, say
from pages.shared.components import description_list, status_badge
from pages.shared.format import RUN_STATUS, count, cron_in_words, escaped, moment
from pages.shared.session import may, now, scheduler, services, zone
from scheduler import SchedulerNotRunning
from services.database.errors import IllegalChange
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.jobs.by_hand import DateToCome, JobAlreadyRunning
from services.jobs.clock import ClockInDoubt, Doubt
from services.jobs.history import pause_run, resume_run
from services.languages.sentence import N_
from services.records.jobs import JobRun, JobStatus

NAMES: Final = Said(
    {
        "monthly_bills": N_("Monthly bills"),
        "autopay": N_("Autopay"),
        "payment_reminders": N_("Payment reminders"),
        "overdue_marking": N_("Overdue marking"),
        "meter_collection": N_("Meter collection"),
        "interval_collection": N_("Interval collection"),
        "ledger_check": N_("Ledger check"),
        "backup": N_("Backup"),
        "retention": N_("Retention"),
    }
)
_WHAT: Final = Said(
    {
        "monthly_bills": N_(
            "A bill for each agreement of the day that is not billed for the month yet."
        ),
        "autopay": N_(
            "Announces and charges what autopay is to pay, and warns of cards that expire."
        ),
        "payment_reminders": N_("Reminds of unpaid bills that are due within 3 days."),
        "overdue_marking": N_("Marks unpaid bills past their due date and sends the notice."),
        "meter_collection": N_("Collects the reading of each smart meter."),
        "interval_collection": N_("Collects interval series from a Green Button server."),
        "ledger_check": N_(
            "Adds all entries up again; the books of a month close only if they add up."
        ),
        "retention": N_(
            "Removes old messages, sign-ins and records of work; never bills or payments."
        ),
        "backup": N_(
            "Writes the whole database into one file, reads it back, and copies it elsewhere."
        ),
    }
)
_STARTS: Final = "jobs-started"
# How much must be done before the time left can be estimated from it.
_WORTH_A_GUESS: Final = 0.02


def show_job(job: JobStatus, principal: Principal, *, late_since: datetime | None = None) -> None:
    """One job of the scheduler's status; `late_since` is when it was due and did not begin."""
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{NAMES.get(job.id, escaped(job.id))}**", width="content")
            if job.last_run:
                status_badge(job.last_run.status, RUN_STATUS)
            if late_since:
                st.badge(_("Late"), icon=":material/schedule:", color="red")
        st.caption(_WHAT.get(job.id, ""))
        due = moment(job.next_run_at, zone())
        description_list(
            [(_("When"), cron_in_words(job.cron)), (_("Next run"), due)], least_width=120
        )
        if late_since:
            st.markdown(
                _("It was due {since} and has not begun.", since=moment(late_since, zone()))
            )
        st.caption(_last_run(job.last_run))
        if job.last_run:
            _show_progress(job.last_run)
        with st.container(horizontal=True):
            _offer_run(job.id, principal)
            if job.last_run:
                _offer_pause(job.last_run, principal)


def show_doubt(doubt: Doubt | None, principal: Principal) -> None:
    """Why no job runs while the clock is in doubt, and the question whether it is right."""
    if doubt is None:
        return
    st.error(_("No job runs now. {why}", why=escaped(say(doubt.why))), icon=":material/schedule:")
    if not doubt.confirmable or not may(Permission.RUN_JOBS):
        return
    with st.popover(_("The clock is right"), icon=":material/check:"):
        shown = moment(now(), zone())
        st.markdown(
            _(
                "It is {shown}. If so, the jobs go on and make up for what they missed; runs of a "
                "later date do not count. If not, set the clock right: the jobs then go on by "
                "themselves.",
                shown=escaped(shown),
            )
        )
        if st.button(_("Yes, go on"), key="confirm-clock", type="primary"):
            _confirm_clock(principal)


def _confirm_clock(principal: Principal) -> None:
    try:
        scheduler().confirm_clock(principal)
    except ClockInDoubt as error:
        st.warning(escaped(say(error)))
        return
    st.toast(_("The jobs go on."), icon=":material/check:")
    st.rerun()


def is_any_running(jobs: Sequence[JobStatus]) -> bool:
    """Whether the last run of one of the scheduler's jobs is under way."""
    return any(job.is_running for job in jobs)


def start(job_id: str, principal: Principal, on: date | None = None) -> None:
    """Start a job on the scheduler's thread, or say why it cannot be started."""
    try:
        scheduler().run_now(job_id, principal, now=now(), on=on)
    except SchedulerNotRunning:
        st.warning(_("The scheduler of this process is not running; jobs can run elsewhere only."))
        return
    except (JobAlreadyRunning, DateToCome, ClockInDoubt) as error:
        st.warning(escaped(say(error)))
        return
    st.session_state[_STARTS] = st.session_state.get(_STARTS, 0) + 1
    st.toast(_("{job} started.", job=NAMES.get(job_id, job_id)), icon=":material/play_arrow:")
    st.rerun()


def _offer_run(job_id: str, principal: Principal) -> None:
    if not may(Permission.RUN_JOBS):
        return
    # Another key after each start: the question that was answered must not stay open.
    key = f"ask-{job_id}-{st.session_state.get(_STARTS, 0)}"
    with st.popover(_("Run now"), icon=":material/play_arrow:", key=key):
        st.markdown(_("It works on all that is due at this moment, and does nothing twice."))
        if st.button(_("Yes, run it now"), key=f"run-{job_id}", type="primary"):
            start(job_id, principal)


def _show_progress(run: JobRun) -> None:
    share = run.share_done
    if run.status not in ("running", "paused") or share is None or run.expected_count is None:
        return
    of = {"done": run.done_count + run.failed_count, "expected": run.expected_count}
    said = _("{done} of about {expected}", **of)
    if run.status == "running" and share > _WORTH_A_GUESS:
        taken = (now() - run.started_at).total_seconds()
        minutes = round(taken * (1 - share) / share / 60)
        said = (
            _("{done} of about {expected}, {time} left", **of, time=count(minutes, "minute"))
            if minutes
            else _("{done} of about {expected}, less than a minute left", **of)
        )
    st.progress(share, text=said)


def _offer_pause(run: JobRun, principal: Principal) -> None:
    if run.status not in ("running", "paused") or not may(Permission.RUN_JOBS):
        return
    key = f"{run.job}-{run.scheduled_on}"
    try:
        if run.status == "paused":
            if st.button(_("Go on"), icon=":material/play_arrow:", key=f"resume-{key}"):
                resume_run(services(), run, principal=principal)
                st.toast(_("It goes on within a minute."), icon=":material/play_arrow:")
                st.rerun()
        elif st.button(_("Pause"), icon=":material/pause:", key=f"pause-{key}"):
            pause_run(services(), run, principal=principal)
            st.rerun()
    except IllegalChange as error:
        st.warning(escaped(say(error)))


def _last_run(run: JobRun | None) -> str:
    if run is None:
        return _("It has not run yet.")
    began = moment(run.started_at, zone())
    counts = done_in_words(run)
    said = f" {escaped(say(run.detail))}" if run.detail else ""
    if run.attempt > 1:
        return (
            _(
                "Last run for {day}, started {began} ({attempts}): {counts}.",
                day=run.scheduled_on,
                began=began,
                attempts=count(run.attempt, "attempt"),
                counts=counts,
            )
            + said
        )
    return (
        _(
            "Last run for {day}, started {began}: {counts}.",
            day=run.scheduled_on,
            began=began,
            counts=counts,
        )
        + said
    )


def done_in_words(run: JobRun) -> str:
    """How many things a run did, and how many it set aside: 40 done, 2 set aside."""
    if run.failed_count:
        return _("{done} done, {failed} set aside", done=run.done_count, failed=run.failed_count)
    return _("{done} done", done=run.done_count)
