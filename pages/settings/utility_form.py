"""The utility's name, contact and logo, as forms."""

import streamlit as st

from pages.languages.words import _
from pages.settings.settings_form import (
    ask_text,
    attempt,
    is_fixed,
    is_locked,
    may_change,
    opened,
    save,
)
from pages.shared.permitted import submit_button
from pages.shared.session import allow_upload, services
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.utility_settings.desk import ShownSettings
from services.utility_settings.logo import MOST_BYTES

_MEGABYTE = 1024 * 1024


def ask_utility(principal: Principal) -> None:
    """Name and contact, as pages and bills show them."""
    form, shown = opened("settings-utility", principal)
    with st.container(border=True), st.form(f"form-{form}", border=False):
        st.markdown(_("**Name and contact**"))
        body: dict[str, object] = {**ask_text(_("Name"), "utility_name", shown, form)}
        body |= _ask_address(shown, form)
        with st.grid(3, min_column_width=220) as grid:
            with grid.cell():
                body |= ask_text(_("Phone"), "utility_phone", shown, form)
            with grid.cell():
                body |= ask_text(_("E-mail"), "utility_email", shown, form)
            with grid.cell():
                body |= ask_text(_("Website"), "utility_website", shown, form)
        st.caption(_("Bills print all of it. Those that were issued before stay as they are."))
        if submit_button(_("Save"), Permission.CHANGE_SETTINGS, type="primary"):
            save("settings-utility", form, body, shown, principal)


def _ask_address(shown: ShownSettings, form: str) -> dict[str, str]:
    name = "utility_contact"
    locked = is_fixed(shown, name)
    typed = st.text_area(
        _("Address"), shown.held.utility_contact, height=90, disabled=locked, key=f"{name}-{form}"
    )
    return {} if is_locked(shown, name) else {name: typed or ""}


def ask_logo(principal: Principal) -> None:
    """The logo that there is, and another one to take its place."""
    form, shown = opened("settings-logo", principal)
    desk, kept = services().settings_desk, shown.held.logo
    if not kept and not may_change():
        return
    with st.container(border=True):
        st.markdown(_("**Logo**"))
        image = services().current_settings.logo(kept) if kept else None
        if image:
            st.image(image, width="content")
        if not may_change():
            return
        allow_upload()
        file = st.file_uploader(
            _("PNG or JPEG of at most 2 MB"),
            # Of every kind, so that the service says in its words why one is not taken.
            max_upload_size=MOST_BYTES // _MEGABYTE,
            key=f"logo-{form}",
        )
        st.caption(_("Pages show it, and bills that are issued from now on."))
        with st.container(horizontal=True):
            if file is not None and st.button(_("Use this logo"), type="primary", key="use-logo"):
                attempt(
                    "settings-logo",
                    lambda: desk.put_logo(
                        change_id=form,
                        content=file.getvalue(),
                        file_name=file.name,
                        seen=shown.stored,
                        principal=principal,
                    ),
                )
            if image and file is None and st.button(_("Remove the logo"), key="remove-logo"):
                attempt(
                    "settings-logo",
                    lambda: desk.remove_logo(
                        change_id=form, seen=shown.stored, principal=principal
                    ),
                )
