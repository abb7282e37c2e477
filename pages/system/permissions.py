"""Permissions: who may what, by role, as the one table says."""

from collections.abc import Mapping

import streamlit as st

from pages.languages.words import _
from pages.registry import PERMISSIONS
from pages.shared.header import show_header
from pages.shared.session import require_permission
from services.identity.permissions import (
    PERMISSION_WORDS,
    PERMISSIONS_OF,
    ROLE_NAMES,
    Permission,
    Role,
    in_order,
    roles_with,
)


def _table(words: Mapping[Permission, str]) -> str:
    rows = [_("| What | Who |"), "|:---|:---|"]
    for permission, said in words.items():
        who = ", ".join(_(ROLE_NAMES[role]) for role in roles_with(permission))
        rows.append(f"| {_(said)} | {who} |")
    return "\n".join(rows)


def _may(role: Role, words: Mapping[Permission, str]) -> str:
    return "\n".join(f"- {_(said)}" for one, said in words.items() if one in PERMISSIONS_OF[role])


principal = require_permission(*PERMISSIONS.needs)
show_header(PERMISSIONS.title)
mine = ", ".join(_(ROLE_NAMES[role]) for role in in_order(principal.roles))
st.caption(
    _(
        "A person may hold several roles, and may then do what each of them may. Yours: {roles}.",
        roles=mine,
    )
)
role = st.selectbox(
    _("Role"),
    list(Role),
    index=None,
    placeholder=_("All roles"),
    format_func=lambda role: _(ROLE_NAMES[role]),
    key="role",
)
for group, words in PERMISSION_WORDS.items():
    if role is None:
        st.subheader(_(group), anchor=False)
        st.markdown(_table(words), width="stretch")
    elif said := _may(role, words):
        st.subheader(_(group), anchor=False)
        st.markdown(said)
