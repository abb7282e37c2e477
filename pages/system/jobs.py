"""Jobs: what runs by itself and when, how the last runs went, and running one now."""

import streamlit as st

from pages.languages.words import _
from pages.registry import JOBS
from pages.shared.header import show_header
from pages.shared.session import error_boundary, now, require_permission, scheduler, services
from pages.system.job_cards import is_any_running, show_doubt, show_job
from pages.system.job_history import show_history
from services.identity.permissions import Permission
from services.operation.punctuality import late_jobs


def refreshed() -> None:
    """The part that is drawn again while a job runs; asks itself, as a page does."""
    with error_boundary():
        principal = require_permission(Permission.VIEW_SYSTEM)
        jobs = scheduler().status(now()).jobs
        late = late_jobs(services(), now())
        with st.grid(2, min_column_width=300):
            for job in jobs:
                show_job(job, principal, late_since=late.get(job.id))
        show_history(principal)
        if watched and not is_any_running(jobs):
            # Draw the page once more, without the clock.
            st.rerun()


principal = require_permission(Permission.VIEW_SYSTEM)
show_header(JOBS.title)
show_doubt(scheduler().doubt, principal)
if not scheduler().running:
    st.warning(_("The scheduler of this process is not running; jobs can run elsewhere only."))
watched = is_any_running(scheduler().status(now()).jobs)
st.fragment(refreshed, run_every=2 if watched else None)()
