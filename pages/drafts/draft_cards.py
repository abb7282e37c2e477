"""Drafts as cards: what is unusual about each, whether it is issued, and sending it back."""

from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.registry import BILL
from pages.shared.format import escaped, kwh, money, period
from pages.shared.permitted import page_link
from pages.shared.session import may, services
from services.billing.draft_signs import signs_of
from services.identity.audit_reason import ReasonMissing
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.records.drafts import Draft

ALL: Final = N_("All that fit")
SOME: Final = N_("Only those ticked")
_WITHOUT: Final = "drafts-without"
_TICKED: Final = "drafts-ticked"


def left_out() -> set[str]:
    """Ids of the drafts that are not to be issued with the others."""
    found: set[str] = st.session_state.setdefault(_WITHOUT, set())
    return found


def ticked() -> set[str]:
    """Ids of the drafts that alone are to be issued."""
    found: set[str] = st.session_state.setdefault(_TICKED, set())
    return found


def forget_choice() -> None:
    """Start the choice again: everything that fits, and nothing alone."""
    left_out().clear()
    ticked().clear()


def show_draft(draft: Draft, mode: str, principal: Principal) -> None:
    """One draft: whose, for what, how much, and each reason to look at it."""
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
            if may(Permission.APPROVE_BILLS):
                _ask_whether(draft, mode)
            with st.container(gap="xxsmall"):
                page_link(
                    BILL,
                    label=f"**{escaped(draft.customer_name)}**",
                    icon=":material/receipt_long:",
                    query_params={"id": draft.id},
                )
                st.caption(
                    _(
                        "{period} · {consumption} · meter {serial} · {tariff}",
                        period=period(draft.period_start, draft.period_end),
                        consumption=kwh(draft.consumption_wh),
                        serial=escaped(draft.meter_serial),
                        tariff=escaped(draft.tariff_code),
                    )
                )
            amount = escaped(money(draft.total_minor, draft.currency))
            with st.container(width="content", horizontal_alignment="right"):
                st.markdown(f"**{amount}**", text_alignment="right")
        for sign in signs_of(draft):
            st.markdown(f":orange[:material/flag:] {escaped(say(sign))}")
        offer_send_back(draft.id, principal)


def offer_send_back(bill_id: str, principal: Principal) -> None:
    """A way to have the bill made again, with a reason."""
    if not may(Permission.PREPARE_BILLS):
        return
    with st.popover(_("Send back"), icon=":material/undo:"):
        st.markdown(
            _(
                "The draft becomes void. Its reading stays accepted and is billed again with the "
                "next reading of the meter or by the next monthly bills."
            )
        )
        with st.form(f"send-back-{bill_id}", border=False):
            reason = st.text_input(_("Reason"), placeholder=_("Such as: the tariff was wrong"))
            sent = st.form_submit_button(_("Send it back"), type="primary")
        if sent:
            _send_back(bill_id, reason, principal)


def _ask_whether(draft: Draft, mode: str) -> None:
    key = f"draft-{mode}-{draft.id}"

    def keep() -> None:
        chosen = bool(st.session_state[key])
        if mode == ALL:
            (left_out().discard if chosen else left_out().add)(draft.id)
        else:
            (ticked().add if chosen else ticked().discard)(draft.id)

    st.checkbox(
        _("Issue the bill of {customer_name}", customer_name=escaped(draft.customer_name)),
        value=draft.id not in left_out() if mode == ALL else draft.id in ticked(),
        key=key,
        on_change=keep,
        label_visibility="collapsed",
        width="content",
    )


def _send_back(bill_id: str, reason: str, principal: Principal) -> None:
    try:
        services().bill_approval.send_back(bill_ids=[bill_id], reason=reason, principal=principal)
    except ReasonMissing as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    left_out().discard(bill_id)
    ticked().discard(bill_id)
    st.toast(_("The draft is sent back."), icon=":material/undo:")
    st.rerun()
