"""The top of a page: its title, its one main action, and the name that the browser's tab shows."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import escape
from typing import Final

import streamlit as st

from pages.languages.words import _
from pages.shared.format import escaped
from pages.shared.session import services
from services.database.errors import DatabaseError

_LETTER: Final = 9.5  # px, of most letters at 16 px


def show_header(title: str) -> None:
    """The title of a page, which the browser's tab shows too."""
    with header(title):
        pass


@contextmanager
def header(title: str) -> Iterator[None]:
    """The title of a page, and at the right end of its line what the block draws: the page's one
    main action."""
    title = _(title)
    name_tab(title)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(escaped(title), anchor=False, width="content")
        with st.container(horizontal=True, horizontal_alignment="right"):
            yield


def name_tab(title: str) -> None:
    """Let the browser's tab and history show what is on the page: Bills · Demo Utility."""
    st.set_page_config(page_title=f"{title} · {services().settings.utility_name}")


def show_logo(*, or_name: bool) -> None:
    """The utility's logo at the top left of every page; its name where it has none and `or_name`.

    On a phone it stands where a desk has the menu.
    """
    kept = services().settings.logo
    if not kept and or_name:
        st.logo(_name_as_image(services().settings.utility_name), size="large")
    # A page without its logo is better than none.
    with suppress(DatabaseError):
        image = services().current_settings.logo(kept) if kept else None
        if image:
            st.logo(image, size="large")


def _name_as_image(name: str) -> str:
    """A name as an SVG, whose letters are dark or light with the browser's theme."""
    # Streamlit makes it 32 px high; wider than 240, a phone has no room for the menu's button.
    width = max(60, int(_LETTER * len(name)))
    height = max(28, width * 32 // 240)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img"><title>{escape(name)}</title>'
        "<style>text { font: 600 16px system-ui, sans-serif; fill: #1B2A33; } "
        "@media (prefers-color-scheme: dark) { text { fill: #E8EFF2; } }</style>"
        f'<text x="0" y="{height // 2 + 6}">{escape(name)}</text></svg>'
    )
