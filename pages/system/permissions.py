"""Permissions: who may what, by role, as the one table says."""

from collections.abc import Mapping

import streamlit as st

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
    rows = ["| What | Who |", "|:---|:---|"]
    for permission, said in words.items():
        who = ", ".join(ROLE_NAMES[role] for role in roles_with(permission))
        rows.append(f"| {said} | {who} |")
    return "\n".join(rows)


def _may(role: Role, words: Mapping[Permission, str]) -> str:
    return "\n".join(f"- {said}" for one, said in words.items() if one in PERMISSIONS_OF[role])


principal = require_permission(*PERMISSIONS.needs)
show_header(PERMISSIONS.title)
mine = ", ".join(ROLE_NAMES[role] for role in in_order(principal.roles))
st.caption(
    f"A person may hold several roles, and may then do what each of them may. Yours: {mine}."
)
role = st.selectbox(
    "Role",
    list(Role),
    index=None,
    placeholder="All roles",
    format_func=ROLE_NAMES.__getitem__,
    key="role",
)
for group, words in PERMISSION_WORDS.items():
    if role is None:
        st.subheader(group, anchor=False)
        st.markdown(_table(words), width="stretch")
    elif said := _may(role, words):
        st.subheader(group, anchor=False)
        st.markdown(said)
