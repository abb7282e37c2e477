"""One system on the Services page: how it was found last, its last error, and testing it now."""

from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.shared.format import Color, escaped, moment
from pages.shared.session import checks, may, now, zone
from services.health.checks import SystemState
from services.identity.permissions import Permission
from services.languages.sentence import N_

_NOT_CONFIGURED: Final[tuple[str, Color]] = (N_("Not configured"), "gray")
_SWITCHED_OFF: Final[tuple[str, Color]] = (N_("Switched off"), "gray")
_NOT_TESTED: Final[tuple[str, Color]] = (N_("Not tested yet"), "gray")
_WORKS: Final[tuple[str, Color]] = (N_("Works"), "green")
_FAILS: Final[tuple[str, Color]] = (N_("Does not work"), "red")


def show_system(state: SystemState) -> None:
    """One system; a test is made before anything of it is drawn."""
    with st.container(border=True):
        place = st.container()
        can_be_tested = state.configured and may(Permission.RUN_JOBS)
        if can_be_tested and st.button(
            _("Test it"), icon=":material/network_check:", key=f"test-{state.name}"
        ):
            with st.spinner(_("Asking …")):
                checks().test(state.name, now=now())
            state = next(s for s in checks().states() if s.name == state.name)
        with place:
            _show(state)


def _show(state: SystemState) -> None:
    label, color = _badge(state)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{escaped(say(state.name))}**", width="content")
        st.badge(_(label), color=color)
    if not state.configured:
        st.caption(escaped(say(state.switched_off or state.unused)))
        return
    if state.last_test:
        st.markdown(escaped(say(state.last_test.sentence)))
        st.caption(_("Tested {at}", at=moment(state.last_test.at, zone())))
    error = state.last_error
    if error and error != state.last_test:
        st.caption(
            _(
                "Last error, {at}: {sentence}",
                at=moment(error.at, zone()),
                sentence=escaped(say(error.sentence)),
            )
        )


def _badge(state: SystemState) -> tuple[str, Color]:
    if not state.configured:
        return _SWITCHED_OFF if state.switched_off else _NOT_CONFIGURED
    if state.last_test is None:
        return _NOT_TESTED
    return _WORKS if state.last_test.well else _FAILS
