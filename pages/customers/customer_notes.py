"""Writing a note about a customer; notes are read in the timeline."""

import streamlit as st

from pages.languages.words import _, say
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import escaped
from pages.shared.session import may, services
from services.database.errors import IllegalChange
from services.history.notes import LONGEST, InvalidNote
from services.identity.auth import Principal
from services.identity.permissions import Permission


def offer_note(customer_id: str, principal: Principal) -> None:
    """A form for a note, behind a button."""
    if not may(Permission.CHANGE_CUSTOMERS):
        return
    name = f"note-{customer_id}"
    form = form_id(name)
    with (
        st.popover(_("Write a note"), icon=":material/edit_note:"),
        st.form(f"form-{form}", border=False),
    ):
        text = st.text_area(
            _("Note"),
            max_chars=LONGEST,
            placeholder=_("Such as: rang about the October bill; reads the meter on Friday"),
            key=f"text-{form}",
        )
        st.caption(_("It appears in the timeline with your name and cannot be changed."))
        if not st.form_submit_button(_("Keep the note"), type="primary"):
            return
        try:
            services().notes.add(
                note_id=form, customer_id=customer_id, text=text or "", principal=principal
            )
        except (InvalidNote, IllegalChange) as error:
            st.error(escaped(say(error)), icon=":material/edit:")
            return
    form_done(name, _("The note is kept."))
    st.rerun()
