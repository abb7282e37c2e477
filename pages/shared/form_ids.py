"""Forms that count once: each has an id from when it opens until what it sent is stored."""

from uuid import uuid4

import streamlit as st

_SAID = "done-and-said"


def form_id(name: str) -> str:
    """The id of the form of this name that is open now; its fields' keys hold it.

    So a second click is the same change, and the form is empty once the change is stored.
    """
    return str(st.session_state.setdefault(f"form-{name}", str(uuid4())))


def form_done(name: str, said: str) -> None:
    """What the form sent is stored: the next one is new, and the next page says so once."""
    st.session_state.pop(f"form-{name}", None)
    st.session_state[_SAID] = said


def show_done() -> None:
    """Say what the last form did, once."""
    if said := st.session_state.pop(_SAID, None):
        st.success(said, icon=":material/check_circle:")
