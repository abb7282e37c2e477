"""What stands under an address that is no page."""

from urllib.parse import unquote, urlsplit

import streamlit as st

from pages.languages.words import _
from pages.registry import HOME
from pages.shared.header import show_header


def unknown_path(known: set[str]) -> str | None:
    """The path of this visit's address, where it is none of `known` and not the bare address."""
    path = unquote(urlsplit(st.context.url or "").path).strip("/")
    # Streamlit takes no path of several parts as a page's, and says by itself that there is none.
    return path if path and path not in known and "/" not in path else None


def show_not_there() -> None:
    """Say that there is no such page, and lead on."""
    show_header(_("This page does not exist"))
    st.markdown(_("Its address may be mistyped, or the page has moved."))
    st.page_link(HOME.script, label=_("Go to my pages"), icon=":material/arrow_back:")
