"""Whose language a visit is spoken to in: looked up once a visit and person, then kept."""

import logging
from typing import Final

import streamlit as st

from pages.languages.words import speak
from services import bootstrap
from services.database.errors import DatabaseError
from services.identity.auth import Principal

log = logging.getLogger(__name__)

_WHOSE: Final = "spoken-language-of"


def speak_to(principal: Principal | None) -> None:
    """Speak to who is signed in, or to a browser, in their language from now on."""
    whose = principal.user if principal else ""
    if st.session_state.get(_WHOSE) == whose:
        return
    header = str(st.context.headers.to_dict().get("Accept-Language", ""))
    languages = bootstrap.running().user_languages
    try:
        speak(languages.of(principal, accept_language=header))
    except DatabaseError as error:
        # A page in the browser's language is better than none.
        log.warning("the language of a user could not be looked up (%s)", error.code)
        speak(languages.of_browser(header))
        return
    st.session_state[_WHOSE] = whose


def look_up_again() -> None:
    """Look the language up again with the next run: it was chosen just now."""
    st.session_state.pop(_WHOSE, None)
