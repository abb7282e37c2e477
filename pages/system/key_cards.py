"""The pieces of the API keys page: a new key, shown once, and each key with revoking it."""

from datetime import timedelta
from typing import Final

import streamlit as st

from pages.shared.format import escaped, moment
from pages.shared.session import called, may, now, services, zone
from services.database.errors import IllegalChange
from services.identity.api_keys import UnusableName
from services.identity.auth import Principal, Scope
from services.identity.permissions import ROLE_NAMES, Permission, Role
from services.records.sessions import ApiKey

_SCOPES: Final[dict[Scope, str]] = {
    "all": "All that its role may do",
    "submit_readings": "Submit readings",
    "read_bills": "Read bills",
    "read_metrics": "Read metrics",
}
_DAYS: Final = {30: "30 days", 90: "90 days", 365: "1 year", 3 * 365: "3 years"}


def ask_new_key(principal: Principal) -> None:
    """A form for a new key, and the key itself in the one run that made it."""
    with st.form("new-key", clear_on_submit=True):
        name = st.text_input(
            "Name", placeholder="Which program it is for", autocomplete="off", key="key-name"
        )
        role = st.segmented_control(
            "It may do what this role may",
            list(Role),
            default=Role.ENGINEER,
            required=True,
            format_func=lambda role: ROLE_NAMES[role],
            key="key-role",
        )
        left, right = st.columns(2)
        scope = left.selectbox(
            "For", list(_SCOPES), format_func=_SCOPES.__getitem__, key="key-scope"
        )
        days = right.selectbox(
            "Good for", list(_DAYS), index=2, format_func=_DAYS.__getitem__, key="key-days"
        )
        if st.form_submit_button("Make a key", type="primary"):
            _make(name, role, principal, scope=scope, days=days)


def _make(name: str, role: Role, principal: Principal, *, scope: Scope, days: int) -> None:
    try:
        key = services().api_keys.make(
            name=name,
            role=role,
            scope=scope,
            expires_at=now() + timedelta(days=days),
            principal=principal,
        )
    except (UnusableName, IllegalChange) as error:
        st.error(escaped(error))
        return
    # Never kept in the session: the next click of any kind takes it off the page for good.
    st.success(f"The key of {escaped(name.strip())}. Copy it now: it is shown this once.")
    st.code(key, language=None)


def show_key(key: ApiKey, principal: Principal) -> None:
    """One key: its name, its role, who made it when, and whether it still opens anything."""
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escaped(key.name)}**", width="content")
            st.badge(ROLE_NAMES[Role(key.role)], color="blue")
            if key.scope != "all":
                st.badge(f"{_SCOPES[key.scope]} only", color="gray")
            if key.revoked_at:
                st.badge("Revoked", color="red")
            elif key.expires_at and key.expires_at <= now():
                st.badge("Expired", color="orange")
        used = f"last used {moment(key.last_used_at, zone())}" if key.last_used_at else "never used"
        ends = f"until {moment(key.expires_at, zone())}" if key.expires_at else "without an end"
        st.caption(
            f"Made {moment(key.created_at, zone())} by "
            f"{escaped(called(key.created_by))} · {ends} · {used}"
        )
        if key.revoked_at:
            by = escaped(key.revoked_by or "")
            st.caption(f"Revoked {moment(key.revoked_at, zone())} by {by}")
        elif may(Permission.MANAGE_KEYS):
            _offer_revoke(key, principal)


def _offer_revoke(key: ApiKey, principal: Principal) -> None:
    with st.popover("Revoke", icon=":material/key_off:", key=f"ask-revoke-{key.id}"):
        st.markdown("The program is refused from its next request on. This cannot be undone.")
        if st.button("Yes, revoke it", key=f"revoke-{key.id}", type="primary"):
            services().api_keys.revoke(key, principal=principal)
            st.toast(f"{escaped(key.name)} is revoked.", icon=":material/key_off:")
            st.rerun()
