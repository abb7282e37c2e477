"""What is offered to whoever is signed in: what only others may do is hidden or disabled."""

from typing import Any

import streamlit as st

from pages.languages.words import _
from pages.registry import PageEntry
from pages.shared.session import may, people_with
from services.identity.permissions import Permission


def page_link(page: PageEntry, label: str, **how: Any) -> None:
    """A link to a page, as st.page_link; nothing where they may not open it."""
    if may(*page.needs):
        st.page_link(page.script, label=label, **how)


def submit_button(label: str, permission: Permission, **how: Any) -> bool:
    """A form's button, as st.form_submit_button; without the permission it says whose it is."""
    if may(permission):
        return st.form_submit_button(label, **how)
    return st.form_submit_button(
        label,
        disabled=True,
        help=_("This is for {permission}.", permission=people_with(permission)),
        **how,
    )
