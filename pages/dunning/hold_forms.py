"""Holding the dunning of an account, and releasing it."""

from datetime import date, timedelta
from typing import Final

import streamlit as st

from pages.dunning.words import REASON_NAMES, attempt
from pages.languages.words import _
from pages.shared.form_ids import form_id
from pages.shared.format import escaped
from pages.shared.session import called, may, now, services, today
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.dunning.holds import DunningHold

_A_WEEK: Final = timedelta(days=7)


def offer_hold(customer_id: str, principal: Principal, *, label: str = "") -> None:
    """A form that holds an account, behind a button."""
    if not may(Permission.HOLD_DUNNING):
        return
    name = f"hold-{customer_id}"
    form = form_id(name)
    with (
        st.popover(label or _("Hold back"), icon=":material/pause_circle:", key=f"popover-{form}"),
        st.form(f"form-{form}", border=False),
    ):
        reason = st.selectbox(
            _("Why"),
            list(REASON_NAMES),
            format_func=REASON_NAMES.__getitem__,
            key=f"reason-{form}",
        )
        note = st.text_input(_("Note"), placeholder=_("Kept with the account"), key=f"note-{form}")
        until = st.date_input(
            _("Until (empty: until it is released)"),
            value=_a_week_on(),
            min_value=today() + timedelta(days=1),
            format="DD/MM/YYYY",
            key=f"until-{form}",
        )
        if not st.form_submit_button(_("Hold"), type="primary"):
            return
    attempt(
        name,
        _("Dunning of the account is on hold."),
        lambda: services().dunning_holds.hold(
            hold_id=form,
            customer_id=customer_id,
            reason=reason,
            note=note or "",
            until=until,
            principal=principal,
            now=now(),
        ),
    )


def show_hold(hold: DunningHold, principal: Principal) -> None:
    """A hold with how it stands; one that lasts can be released."""
    lasts = hold.holds_on(today())
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{REASON_NAMES[hold.reason]}**", width="content")
            st.badge(_("On hold") if lasts else _("Over"), color="orange" if lasts else "gray")
        st.markdown(escaped(hold.note))
        since = (
            _("Since {day} until {until}", day=hold.since, until=hold.until)
            if hold.until
            else _("Since {day}", day=hold.since)
        )
        st.caption(f"{since} · {escaped(called(hold.held_by))}")
        if hold.released_by:
            by = _("Released by {user}", user=escaped(called(hold.released_by)))
            why = f": {escaped(hold.released_because)}" if hold.released_because else ""
            st.caption(f"{by}{why}")
        if lasts and may(Permission.HOLD_DUNNING):
            _offer_release(hold, principal)


def _offer_release(hold: DunningHold, principal: Principal) -> None:
    with (
        st.popover(_("Release"), icon=":material/play_circle:", key=f"release-{hold.id}"),
        st.form(f"release-form-{hold.id}", border=False),
    ):
        because = st.text_input(_("Why"), key=f"because-{hold.id}")
        if not st.form_submit_button(_("Release"), type="primary"):
            return
    attempt(
        f"release-{hold.id}",
        _("Dunning of the account goes on where it was."),
        lambda: services().dunning_holds.release(
            hold_id=hold.id, because=because or "", principal=principal
        ),
    )


def _a_week_on() -> date:
    return today() + _A_WEEK
