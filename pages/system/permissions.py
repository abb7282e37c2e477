"""Permissions: who may what, by role, as the one table says."""

from typing import Final

import streamlit as st

from pages.registry import PERMISSIONS
from pages.shared.header import show_header
from pages.shared.session import require_permission
from services.identity.permissions import (
    PERMISSIONS_OF,
    ROLE_NAMES,
    Permission,
    Role,
    in_order,
)

_WORDS: Final[dict[str, dict[Permission, str]]] = {
    "Readings": {
        Permission.SUBMIT_READINGS: "Submit readings, walk the round, see one's own",
        Permission.VIEW_READINGS: "See all readings, exceptions, photos and the network",
        Permission.DECIDE_READINGS: "Decide on exceptions; correct, estimate, bill, ask again",
    },
    "Customers": {
        Permission.VIEW_CUSTOMERS: "See customers, service points, meters and messages; search",
        Permission.CHANGE_CUSTOMERS: "Change contact details, write notes",
        Permission.CHANGE_SUPPLY: "Connect, move, exchange meters, disconnect",
        Permission.ARRANGE_ACCOUNTS: "Agree on instalments, say which bill open money pays",
        Permission.ADJUST_ACCOUNTS: "Give credits, write off, charge fees",
        Permission.SEND_MESSAGES: "Send messages again, choose one statement for all bills",
    },
    "Bills": {
        Permission.VIEW_BILLS: "See bills, drafts and bill runs",
        Permission.PREPARE_BILLS: "Send drafts back, set billing days",
        Permission.APPROVE_BILLS: "Issue drafts",
        Permission.VOID_BILLS: "Void and correct issued bills",
    },
    "Payments": {
        Permission.VIEW_PAYMENTS: "See payments, bank lines and the reconciliation",
        Permission.RECORD_PAYMENTS: "Record payments, import bank statements, reconcile",
        Permission.REVERSE_PAYMENTS: "Reverse payments",
        Permission.REFUND_PAYMENTS: "Refund payments, pay credit out",
        Permission.REFUND_OVER_LIMIT: "The same above the limit of the settings",
    },
    "Tariffs and books": {
        Permission.VIEW_TARIFFS: "See tariffs",
        Permission.PUBLISH_TARIFFS: "Write and publish tariffs",
        Permission.VIEW_BOOKS: "See the month's books",
        Permission.CLOSE_BOOKS: "Close a month",
    },
    "System": {
        Permission.VIEW_SYSTEM: "See settings, jobs and services",
        Permission.RUN_JOBS: "Run jobs, test services",
        Permission.CHANGE_SETTINGS: "Change settings",
        Permission.IMPORT_FILES: "Import files of every kind",
        Permission.EXPORT_FILES: "Export everything",
        Permission.VIEW_SECURITY: "See sign-ins, keys and the security log",
        Permission.MANAGE_USERS: "End sign-ins, manage users",
        Permission.MANAGE_KEYS: "Make and revoke API keys",
    },
}


def _table(words: dict[Permission, str]) -> str:
    names = [ROLE_NAMES[role] for role in Role]
    rows = ["| | " + " | ".join(names) + " |", "|:---|" + ":---:|" * len(names)]
    for permission, said in words.items():
        marks = ("✓" if permission in PERMISSIONS_OF[role] else "" for role in Role)
        rows.append(f"| {said} | " + " | ".join(marks) + " |")
    return "\n".join(rows)


def _may(role: Role, words: dict[Permission, str]) -> str:
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
    placeholder="All roles side by side",
    format_func=ROLE_NAMES.__getitem__,
    key="role",
)
for group, words in _WORDS.items():
    if role is None:
        st.subheader(group, anchor=False)
        st.markdown(_table(words), width="stretch")
    elif said := _may(role, words):
        st.subheader(group, anchor=False)
        st.markdown(said)
