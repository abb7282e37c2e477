"""All credit notes, the last number first, found by day, number and customer."""

from typing import Final

import streamlit as st

from pages.bills.credit_note_cards import show_credit_note
from pages.languages.words import _
from pages.registry import CREDIT_NOTES, SETTINGS
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import require_permission, services
from services.identity.permissions import Permission

_PAGE_SIZE: Final = 20
_AFTER: Final = "credit-notes-after"

principal = require_permission(Permission.VIEW_BILLS)
show_header(CREDIT_NOTES.title)
with st.container(horizontal=True, vertical_alignment="bottom"):
    text = st.text_input(
        _("Number, bill or customer"), key="text", bind="query-params", max_chars=100, width=320
    )
    start = st.date_input(_("From"), None, key="from", width=160, format="DD/MM/YYYY")
    last = st.date_input(_("To"), None, key="to", width=160, format="DD/MM/YYYY")
asked = (text, start, last)
if st.session_state.get("credit-notes-asked") != asked:
    st.session_state["credit-notes-asked"] = asked
    st.session_state[_AFTER] = []
before: list[int] = st.session_state.setdefault(_AFTER, [])
found, after = services().credit_notes.page(
    principal=principal,
    limit=_PAGE_SIZE,
    start=start,
    last=last,
    text=text or "",
    after=before[-1] if before else None,
)
if not found:
    narrowed = text or start or last
    none = _("No credit note fits.") if narrowed else _("There are no credit notes yet.")
    st.info(none, icon=":material/done_all:")
if not found and not services().settings.credit_notes:
    st.caption(_("Voided bills have credit notes once the settings say so."))
    page_link(SETTINGS, label=_("Settings"), icon=":material/settings:")
for note in found:
    show_credit_note(note, principal)
with st.container(horizontal=True):
    if before and st.button(_("Later ones"), icon=":material/arrow_back:"):
        before.pop()
        st.rerun()
    if after is not None and st.button(_("Earlier ones"), icon=":material/arrow_forward:"):
        before.append(after)
        st.rerun()
