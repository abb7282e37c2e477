"""Back leads to where people were: the same list, page and place on it (decision 0020)."""

from pathlib import Path
from typing import Any, Final, Never

import streamlit as st

from pages.registry import PageEntry

_SCRIPT: Final = Path(__file__).with_name("history.js").read_text(encoding="utf-8")
_DONE: Final = "done"


def keep_history() -> None:
    """Let the browser's Back lead to places that were there; once a page."""
    st.html(f"<script>{_SCRIPT}</script>", unsafe_allow_javascript=True, width="content")


def go_on_to(page: PageEntry, **query: Any) -> Never:
    """Go to a page that takes the place of this one, a form that is done with, in the history."""
    st.switch_page(page.script, query_params={**query, _DONE: "1"})
