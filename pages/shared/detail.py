"""The page of one thing: its title, state and one main action, one view at a time, its timeline."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import groupby

import streamlit as st

from pages.registry import PageEntry
from pages.shared.format import Color, day, escaped
from pages.shared.header import name_tab

State = tuple[str, Color]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened on a local date; `page` and `id` lead to what it is about."""

    on: date
    what: str
    icon: str
    more: str = ""
    amount: str = ""
    state: State | None = None
    page: PageEntry | None = None
    id: str = ""


@contextmanager
def detail_header(title: str, *, back: PageEntry, states: Sequence[State] = ()) -> Iterator[None]:
    """The way back to the list, the title with how it stands, and at the right end of the line what
    the block draws: the one main action. The browser's tab shows the title too."""
    name_tab(title)
    st.page_link(back.script, label=f"All {back.title.lower()}", icon=":material/arrow_back:")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(escaped(title), anchor=False, width="content")
        for label, color in states:
            st.badge(label, color=color)
        with st.container(horizontal=True, horizontal_alignment="right"):
            yield


def chosen_view(names: Sequence[str]) -> str:
    """Which of the views is shown; it is in the address, so that Back finds it."""
    return st.segmented_control(
        "Show",
        names,
        default=names[0],
        required=True,
        label_visibility="collapsed",
        key="view",
        bind="query-params",
    )


def show_timeline_of(events: Iterable[Event]) -> None:
    """What happened, day by day, the newest first; of one day the last given is the newest."""
    newest_first = sorted(events, key=lambda event: event.on)[::-1]
    if not newest_first:
        st.caption("Nothing has happened yet.")
    for on, of_day in groupby(newest_first, key=lambda event: event.on):
        with st.container(border=True, gap="small"):
            st.caption(day(on))
            for event in of_day:
                _show_event(event)


def _show_event(event: Event) -> None:
    with st.container(gap="xxsmall"):
        with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
            _show_name(event)
            if event.amount:
                amount = f"**{escaped(event.amount)}**"
                st.markdown(amount, width="content", text_alignment="right")
            if event.state:
                st.badge(event.state[0], color=event.state[1])
        if event.more:
            st.caption(escaped(event.more))


def _show_name(event: Event) -> None:
    icon, label = f":material/{event.icon}:", f"**{escaped(event.what)}**"
    if event.page is None:
        st.markdown(f"{icon} {label}", width="stretch")
    else:
        query = {"id": event.id}
        st.page_link(event.page.script, label=label, icon=icon, query_params=query, width="stretch")
