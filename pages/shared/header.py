"""The top of a page: its title, its one main action, and the name that the browser's tab shows."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import streamlit as st

from pages.shared.format import escaped
from pages.shared.session import services
from services.database.errors import DatabaseError


def show_header(title: str) -> None:
    """The title of a page, which the browser's tab shows too."""
    with header(title):
        pass


@contextmanager
def header(title: str) -> Iterator[None]:
    """The title of a page, and at the right end of its line what the block draws: the page's one
    main action."""
    name_tab(title)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(escaped(title), anchor=False, width="content")
        with st.container(horizontal=True, horizontal_alignment="right"):
            yield


def name_tab(title: str) -> None:
    """Let the browser's tab and history show what is on the page: Bills · Demo Utility."""
    st.set_page_config(page_title=f"{title} · {services().settings.utility_name}")


def show_logo() -> None:
    """The utility's logo, if it has one, at the top left of every page."""
    kept = services().settings.logo
    # A page without its logo is better than none.
    with suppress(DatabaseError):
        image = services().current_settings.logo(kept) if kept else None
        if image:
            st.logo(image, size="large")
