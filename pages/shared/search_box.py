"""The search box of every page; what it finds is on a page of its own."""

import streamlit as st

from pages.languages.words import _
from pages.registry import SEARCH

_KEY = "search-everywhere"
_ASKED = "search-everywhere-asked"


def offer_search() -> None:
    """One box for customers, meters, bills and payments; Enter opens what it finds."""
    text = st.text_input(
        _("Search everywhere"),
        key=_KEY,
        type="search",
        placeholder=_("Customer, meter, bill, payment"),
        label_visibility="collapsed",
        width=300,
    )
    # The box keeps its text on the page that it opened, where it must not open it again.
    if text and text != st.session_state.get(_ASKED):
        st.session_state[_ASKED] = text
        st.switch_page(SEARCH.script, query_params={"find": text})
    if not text:
        st.session_state.pop(_ASKED, None)
