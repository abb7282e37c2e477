"""The steps that were taken, and disconnection notices that reached nobody."""

import streamlit as st

from pages.dunning.words import (
    about,
    amounts,
    attempt,
    customer_link,
    next_page,
    place_in,
    step_badge,
)
from pages.languages.words import _, language
from pages.shared.form_ids import form_id
from pages.shared.format import day, escaped
from pages.shared.session import called, may, services, today
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.dunning.policy import DunningAction


def show_taken(principal: Principal) -> None:
    """The last steps first; at choice the notices that are still to be handed over."""
    only = st.toggle(
        _("Disconnection notices that reached nobody"), key="not-given", bind="query-params"
    )
    if only:
        st.caption(
            _(
                "No message of these arrived. Hand them over, such as by registered letter, and "
                "note the day: the wait before a disconnection counts from then."
            )
        )
    key = f"taken-{only}"
    rows, after = services().dunning.history(
        principal=principal, not_given=only, after=place_in(key)
    )
    if not rows:
        st.info(
            _("No such step was taken.") if only else _("No step was taken yet."),
            icon=":material/done_all:",
        )
    show_actions(rows, principal)
    next_page(key, after)


def show_actions(
    rows: list[DunningAction], principal: Principal, *, with_customer: bool = True
) -> None:
    """Steps that were taken, one card each."""
    with st.container(gap="small"):
        for row in rows:
            _show(row, principal, with_customer=with_customer)


def _show(action: DunningAction, principal: Principal, *, with_customer: bool) -> None:
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            if with_customer:
                customer_link(action.customer_id, action.customer_name, action.account_no)
            step_badge(action)
        st.markdown(f"{day(action.taken_on)} · **{amounts(action)}**")
        st.caption(about(action))
        if action.action != "notice":
            return
        if action.given_on:
            by = escaped(called(action.given_by or ""))
            st.caption(_("Reached the customer on {day} ({user})", day=action.given_on, user=by))
        elif may(Permission.HOLD_DUNNING):
            _offer_given(action, principal)


def _offer_given(action: DunningAction, principal: Principal) -> None:
    name = f"given-{action.id}"
    form = form_id(name)
    with (
        st.popover(_("It was handed over"), icon=":material/mark_email_read:", key=f"p-{form}"),
        st.form(f"form-{form}", border=False),
    ):
        on = st.date_input(
            language().pgettext("day", "On"),
            value=today(),
            min_value=action.taken_on,
            max_value=max(today(), action.taken_on),
            format="DD/MM/YYYY",
            key=f"on-{form}",
        )
        if not st.form_submit_button(_("Keep"), type="primary"):
            return
    attempt(
        name,
        _("The day is kept: the wait counts from it."),
        lambda: services().dunning.give_notice(action_id=action.id, on=on, principal=principal),
    )
