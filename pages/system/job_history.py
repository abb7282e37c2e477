"""The runs of all jobs, newest first, each with what it set aside and why."""

import streamlit as st

from pages.languages.words import _, say
from pages.shared.components import chosen_page, page_number, status_badge
from pages.shared.format import RUN_STATUS, count, escaped, moment
from pages.shared.session import called, may, services, zone
from pages.system.job_cards import NAMES, start
from pages.system.job_set_aside import show_set_aside
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.jobs.history import job_runs, set_aside_by_run
from services.records.jobs import JobRun

_PAGE_SIZE = 10
_KEY = "runs-page"
_ASIDE_SHOWN = 100


def show_history(principal: Principal) -> None:
    """A page of the runs; the database counts and cuts them."""
    st.subheader(_("History"), anchor=False)
    runs = job_runs(services(), principal=principal, page=chosen_page(_KEY), page_size=_PAGE_SIZE)
    if not runs.total:
        st.caption(_("No job has run yet."))
    with st.container(gap="xsmall"):
        for run in runs.items:
            _show_run(run, principal)
    page_number(total=runs.total, page_size=_PAGE_SIZE, key=_KEY)


def _show_run(run: JobRun, principal: Principal) -> None:
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
            with st.container(gap=None):
                st.markdown(
                    _(
                        "**{job}** for {day}",
                        job=NAMES.get(run.job, escaped(run.job)),
                        day=run.scheduled_on,
                    )
                )
                st.caption(_in_words(run))
            status_badge(run.status, RUN_STATUS)
        if run.failed_count:
            _show_set_aside(run, principal)
        can_be_tried = run.status in ("failed", "interrupted") and may(Permission.RUN_JOBS)
        if can_be_tried and st.button(
            _("Try this run again"),
            icon=":material/refresh:",
            key=f"again-{run.job}-{run.scheduled_on}",
        ):
            start(run.job, principal, on=run.scheduled_on)


def _show_set_aside(run: JobRun, principal: Principal) -> None:
    # Asked of the database only when somebody opens it.
    label = _("{meters} set aside", meters=count(run.failed_count, "meter"))
    key = f"aside-{run.job}-{run.scheduled_on}"
    with st.expander(label, type="compact", key=key, on_change="rerun") as opened:
        if not opened.open:
            return
        rows = set_aside_by_run(
            services(), job=run.job, scheduled_on=run.scheduled_on, principal=principal
        )
        for row in rows[:_ASIDE_SHOWN]:
            show_set_aside(row)
        if run.failed_count > _ASIDE_SHOWN:
            st.caption(
                _(
                    "The first {shown} of {total} are shown.",
                    shown=_ASIDE_SHOWN,
                    total=run.failed_count,
                )
            )


def _in_words(run: JobRun) -> str:
    values = {
        "started": moment(run.started_at, zone()),
        "user": escaped(called(run.started_by)),
        "done": run.done_count,
        "detail": escaped(say(run.detail)),
    }
    if run.finished_at is None:
        return _("started {started} by {user} · {done} done. {detail}", **values)
    seconds = round((run.finished_at - run.started_at).total_seconds())
    took = count(seconds, "second") if seconds else _("less than a second")
    return _(
        "started {started} by {user}, took {time} · {done} done. {detail}", time=took, **values
    )
