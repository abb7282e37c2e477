"""What the next run sends to whom, as things stand, and holding one back."""

from datetime import date
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
from pages.languages.addresses import segments
from pages.languages.words import _, ngettext, say
from pages.shared.format import day, escaped, money
from pages.shared.session import now, services, today
from services.dunning.rules import day_in_words
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.records.dunning.policy import DueStep, DunningPart, DunningTotals

_AT_ONCE: Final = 25
_MOST: Final = 10_000
_TOTALS: Final = "dunning-totals"
_PARTS: Final[dict[str, DunningPart]] = {
    N_("Before the due date"): "reminders",
    N_("First overdue notices"): "overdue",
    N_("Further steps"): "ladder",
}
_FIRST: Final = next(iter(_PARTS))
_AT: Final[dict[DunningPart, str]] = {
    "reminders": "10:00",
    "overdue": "11:00",
    "ladder": "11:00",
}


def show_tonight(principal: Principal) -> None:
    """The steps that the next run takes, one part of the ladder at a time."""
    part = _PARTS[segments(_("Steps"), list(_PARTS), key="part")]
    dunning = services().dunning
    on = dunning.next_run_on(part=part, principal=principal, now=now())
    key = f"tonight-{part}"
    rows, after = dunning.preview(
        part=part, on=on, principal=principal, after=place_in(key), limit=_AT_ONCE
    )
    st.caption(
        _(
            "What the run of {day}, {time}, does as things stand now. Whoever pays before then "
            "hears nothing; it is looked at once more just before a message leaves.",
            day=_("today") if on == today() else day(on),
            time=_AT[part],
        )
    )
    if rows:
        _show_totals(_totals(part, on, principal))
    if not rows:
        st.info(
            _("Nothing is due.")
            if after is None
            else _("Nothing is due of the first {count}.", count=_MOST),
            icon=":material/done_all:",
        )
    with st.container(gap="small"):
        for row in rows:
            _show(row, principal)
    next_page(key, after)


def _totals(part: DunningPart, on: date, principal: Principal) -> DunningTotals:
    """Looked up once a minute: it goes through all that the run will."""
    minute = now().replace(second=0, microsecond=0)
    kept = st.session_state.get(_TOTALS)
    if kept is None or kept[0] != (part, on, minute):
        found = services().dunning.totals(part=part, on=on, principal=principal)
        st.session_state[_TOTALS] = kept = ((part, on, minute), found)
    totals: DunningTotals = kept[1]
    return totals


def _show_totals(totals: DunningTotals) -> None:
    """Each step with how many accounts it is taken of, and on what."""
    if not totals.complete:
        st.caption(_("Added up are the first {count} that the run looks at.", count=_MOST))
    with st.grid(3, min_column_width=220) as grid:
        for row in totals.rows:
            with grid.cell(), st.container(border=True, gap="xsmall", height="stretch"):
                step_badge(row)
                st.caption(say(day_in_words(row.day)))
                amount = escaped(money(row.amount_minor, row.currency))
                accounts = ngettext("{count} account", "{count} accounts", row.accounts)
                st.markdown(f"**{accounts}** · {amount}")
                if row.steps != row.accounts:
                    st.caption(ngettext("{count} message", "{count} messages", row.steps))
                if row.fee_minor:
                    fees = escaped(money(row.fee_minor, row.currency))
                    st.caption(_("Late fees: {amount}", amount=fees))
                if row.waiting:
                    st.caption(
                        ngettext("{count} of them wait", "{count} of them wait", row.waiting)
                    )


def _show(step: DueStep, principal: Principal) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            customer_link(step.customer_id, step.customer_name, step.account_no)
            step_badge(step)
            if step.wait:
                st.badge(WAITS[step.wait], color="gray")
        since = (
            _("due {day}", day=step.due_date)
            if step.action == "reminder"
            else _("since {day}", day=step.due_date)
        )
        st.markdown(f"**{amounts(step)}** · {since}")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(about(step))
            if step.wait != "held":
                with st.container(horizontal=True, horizontal_alignment="right"):
                    offer_hold(step.customer_id, principal)
