"""The pieces of the API keys page: a new key, shown once, and each key with revoking it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import streamlit as st

from pages.languages.words import Said, _, say
from pages.shared.format import escaped, moment
from pages.shared.session import called, may, now, services, zone
from services.database.errors import IllegalChange
from services.identity.api_keys import UnusableName
from services.identity.auth import Principal, Scope
from services.identity.permissions import ROLE_NAMES, Permission, Role
from services.languages.sentence import N_
from services.records.sessions import ApiKey

_SCOPES: Final[Mapping[Scope, str]] = Said(
    {
        "all": N_("All that its role may do"),
        "submit_readings": N_("Submit readings"),
        "read_bills": N_("Read bills"),
        "read_metrics": N_("Read metrics"),
    }
)
_DAYS: Final = Said(
    {30: N_("30 days"), 90: N_("90 days"), 365: N_("1 year"), 3 * 365: N_("3 years")}
)


def ask_new_key(principal: Principal) -> None:
    """A form for a new key, and the key itself in the one run that made it."""
    with st.form("new-key", clear_on_submit=True):
        name = st.text_input(
            _("Name"), placeholder=_("Which program it is for"), autocomplete="off", key="key-name"
        )
        role = st.segmented_control(
            _("It may do what this role may"),
            list(Role),
            default=Role.ENGINEER,
            required=True,
            format_func=lambda role: _(ROLE_NAMES[role]),
            key="key-role",
        )
        left, right = st.columns(2)
        scope = left.selectbox(
            _("For"), list(_SCOPES), format_func=_SCOPES.__getitem__, key="key-scope"
        )
        days = right.selectbox(
            _("Good for"), list(_DAYS), index=2, format_func=_DAYS.__getitem__, key="key-days"
        )
        if st.form_submit_button(_("Make a key"), type="primary"):
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
        st.error(escaped(say(error)))
        return
    # Never kept in the session: the next click of any kind takes it off the page for good.
    st.success(
        _("The key of {name}. Copy it now: it is shown this once.", name=escaped(name.strip()))
    )
    st.code(key, language=None)


def show_key(key: ApiKey, principal: Principal) -> None:
    """One key: its name, its role, who made it when, and whether it still opens anything."""
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escaped(key.name)}**", width="content")
            st.badge(_(ROLE_NAMES[Role(key.role)]), color="blue")
            if key.scope != "all":
                st.badge(_("{scope} only", scope=_SCOPES[key.scope]), color="gray")
            if key.revoked_at:
                st.badge(_("Revoked"), color="red")
            elif key.expires_at and key.expires_at <= now():
                st.badge(_("Expired"), color="orange")
        used = (
            _("last used {at}", at=moment(key.last_used_at, zone()))
            if key.last_used_at
            else _("never used")
        )
        ends = (
            _("until {at}", at=moment(key.expires_at, zone()))
            if key.expires_at
            else _("without an end")
        )
        st.caption(
            _(
                "Made {at} by {user} · {ends} · {used}",
                at=moment(key.created_at, zone()),
                user=escaped(called(key.created_by)),
                ends=ends,
                used=used,
            )
        )
        if key.revoked_at:
            by = escaped(key.revoked_by or "")
            st.caption(_("Revoked {at} by {user}", at=moment(key.revoked_at, zone()), user=by))
        elif may(Permission.MANAGE_KEYS):
            _offer_revoke(key, principal)


def _offer_revoke(key: ApiKey, principal: Principal) -> None:
    with st.popover(_("Revoke"), icon=":material/key_off:", key=f"ask-revoke-{key.id}"):
        st.markdown(_("The program is refused from its next request on. This cannot be undone."))
        if st.button(_("Yes, revoke it"), key=f"revoke-{key.id}", type="primary"):
            services().api_keys.revoke(key, principal=principal)
            st.toast(_("{name} is revoked.", name=escaped(key.name)), icon=":material/key_off:")
            st.rerun()
