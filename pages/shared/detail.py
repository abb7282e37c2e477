"""The page of one thing: its title, state and one main action, one view at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from pages.languages.addresses import segments
from pages.languages.words import _
from pages.registry import PageEntry
from pages.shared.format import Color, escaped
from pages.shared.header import name_tab
from pages.shared.permitted import page_link

State = tuple[str, Color]


@contextmanager
def detail_header(title: str, *, back: PageEntry, states: Sequence[State] = ()) -> Iterator[None]:
    """The way back to the list, the title with how it stands, and at the right end of the line what
    the block draws: the one main action. The browser's tab shows the title too."""
    name_tab(title)
    page_link(back, label=_("All: {pages}", pages=_(back.title)), icon=":material/arrow_back:")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(escaped(title), anchor=False, width="content")
        for label, color in states:
            st.badge(_(label), color=color)
        with st.container(horizontal=True, horizontal_alignment="right"):
            yield


def chosen_view(names: Sequence[str], *, key: str = "view") -> str:
    """Which of the views is shown; it is in the address, so that Back finds it.

    A link to one of them has the `slug` of its name.
    """
    return segments(_("Show"), names, key=key)
