"""The pass over the whole graph on the Services page: how far it is, to stop it or let it go on."""

from math import ceil

import streamlit as st

from pages.languages.words import _
from pages.shared.format import count
from pages.shared.session import error_boundary, may, require_permission, services
from services.graph import Graph, PassState
from services.identity.permissions import Permission
from services.integrations.failures import FinalFailure, TemporaryFailure


def show_graph_pass() -> None:
    """How far it is, where there is a graph that answers and ever had one."""
    graph = services().graph.graph
    if graph is None:
        return
    state = _state(graph)
    if state is not None:
        st.fragment(_refreshed, run_every=5 if state.at_work else None)()


def _refreshed() -> None:
    with error_boundary():
        require_permission(Permission.VIEW_SYSTEM)
        graph = services().graph.graph
        state = _state(graph) if graph is not None else None
        if graph is None or state is None:
            return
        with st.container(border=True):
            st.markdown(_("**The graph compared with the database**"))
            st.progress(min(1.0, state.done / max(1, state.total)), text=_words(state))
            if may(Permission.RUN_JOBS):
                _buttons(graph, state)


def _state(graph: Graph) -> PassState | None:
    try:
        return graph.pass_state()
    except (TemporaryFailure, FinalFailure):
        # Its own card says that it does not answer.
        return None


def _buttons(graph: Graph, state: PassState) -> None:
    if state.wanted and not state.halted:
        if st.button(_("Stop"), icon=":material/pause:", key="graph-halt"):
            graph.halt_pass()
            st.rerun()
    elif st.button(
        _("Go on") if state.halted else _("Compare again"),
        icon=":material/sync:",
        key="graph-compare",
    ):
        graph.ask_for_pass()
        st.rerun()


def _words(state: PassState) -> str:
    if not state.wanted:
        return _("Done: {rows}.", rows=count(state.done, "row"))
    how = _("{done} of about {rows}", done=state.done, rows=count(state.total, "row"))
    if state.halted:
        return _("Stopped at {how}.", how=how)
    if state.at_work and state.seconds_left is not None:
        return _(
            "{how}, {time} left.", how=how, time=count(ceil(state.seconds_left / 60), "minute")
        )
    return f"{how}." if state.at_work else _("{how}; it goes on within a minute.", how=how)
