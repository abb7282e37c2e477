"""What the next run sends to whom, as things stand, and holding one back."""

from typing import Final

import streamlit as st

from pages.dunning.hold_forms import offer_hold
from pages.dunning.words import (
    WAITS,
    about,
    amounts,
    customer_link,
    next_page,
    place_in,
    step_badge,
)
from pages.shared.format import day
from pages.shared.session import now, services, today
from services.identity.auth import Principal
from services.records.dunning.policy import DueStep, DunningPart

_AT_ONCE: Final = 25
_PARTS: Final[dict[str, DunningPart]] = {
    "Before the due date": "reminders",
    "First overdue notices": "overdue",
    "Further steps": "ladder",
}
_AT: Final[dict[DunningPart, str]] = {
    "reminders": "10:00",
    "overdue": "11:00",
    "ladder": "11:00",
}


def show_tonight(principal: Principal) -> None:
    """The steps that the next run takes, one part of the ladder at a time."""
    chosen = st.segmented_control(
        "Steps",
        list(_PARTS),
        default="Before the due date",
        required=True,
        key="part",
        bind="query-params",
        label_visibility="collapsed",
    )
    part = _PARTS[chosen or "Before the due date"]
    dunning = services().dunning
    on = dunning.next_run_on(part=part, principal=principal, now=now())
    key = f"tonight-{part}"
    rows, after = dunning.preview(
        part=part, on=on, principal=principal, after=place_in(key), limit=_AT_ONCE
    )
    when = "today" if on == today() else day(on)
    st.caption(
        f"What the run of {when}, {_AT[part]}, does as things stand now. Whoever pays before then "
        "hears nothing; it is looked at once more just before a message leaves."
    )
    if not rows:
        said = "Nothing is due." if after is None else "Nothing is due of the first 10,000."
        st.info(said, icon=":material/done_all:")
    with st.container(gap="small"):
        for row in rows:
            _show(row, principal)
    next_page(key, after)


def _show(step: DueStep, principal: Principal) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            customer_link(step.customer_id, step.customer_name, step.account_no)
            step_badge(step)
            if step.wait:
                st.badge(WAITS[step.wait], color="gray")
        since = f"{'due' if step.action == 'reminder' else 'since'} {day(step.due_date)}"
        st.markdown(f"**{amounts(step)}** · {since}")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(about(step))
            if step.wait != "held":
                with st.container(horizontal=True, horizontal_alignment="right"):
                    offer_hold(step.customer_id, principal)
