"""Autopay: what is charged next, what was charged or failed and why, and the policy."""

from collections.abc import Callable
from typing import Final

import streamlit as st

from pages.autopay.charge_cards import show_charge
from pages.autopay.policy_form import show_policy
from pages.languages.words import _
from pages.registry import AUTOPAY
from pages.shared.detail import chosen_view
from pages.shared.form_ids import show_done
from pages.shared.header import show_header
from pages.shared.session import require_permission, services
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.records.customers.autopay import Charge, ChargesAfter

_AT_ONCE: Final = 25
_Found = tuple[list[Charge], ChargesAfter | None]


def show_next(principal: Principal) -> None:
    """Charges that are not over, by the day on which they are tried."""
    st.caption(
        _(
            "As things stand now: what is paid another way before then is not charged, and nothing "
            "of accounts on hold. The job *Autopay* runs daily at 09:00."
        )
    )
    office = services().autopay.office
    _show("next", lambda after: office.upcoming(principal=principal, after=after, limit=_AT_ONCE))


def show_over(principal: Principal) -> None:
    """Charges that are over, the last first."""
    office = services().autopay.office
    _show("over", lambda after: office.over(principal=principal, after=after, limit=_AT_ONCE))


def _show(name: str, look: Callable[[ChargesAfter | None], _Found]) -> None:
    key = f"autopay-{name}"
    kept = st.session_state.get(key)
    rows, after = look(kept if isinstance(kept, ChargesAfter) else None)
    if not rows:
        st.info(_("There is none."), icon=":material/done_all:")
    with st.container(gap="small"):
        for charge in rows:
            show_charge(charge)
    with st.container(horizontal=True):
        if key in st.session_state and st.button(_("From the beginning"), key=f"{key}-first"):
            st.session_state.pop(key)
            st.rerun()
        if after is not None and st.button(_("Show the next"), key=f"{key}-next"):
            st.session_state[key] = after
            st.rerun()


_VIEWS: Final[dict[str, Callable[[Principal], None]]] = {
    N_("Next"): show_next,
    N_("Over"): show_over,
    N_("Policy"): show_policy,
}

principal = require_permission(Permission.VIEW_PAYMENTS)
show_header(AUTOPAY.title)
show_done()
if not services().autopay.offered:
    st.warning(
        _(
            "Autopay is off: it needs Stripe (STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET) and "
            "customers' own pages under a public address (CUSTOMER_PAGE, PUBLIC_URL). Nothing is "
            "charged."
        ),
        icon=":material/pause_circle:",
    )
_VIEWS[chosen_view(tuple(_VIEWS))](principal)
