"""In which language somebody reads the pages."""

import streamlit as st

from pages.languages.chosen import look_up_again
from pages.languages.words import _, language
from pages.shared.session import services
from services.identity.auth import Principal
from services.languages.catalogues import OFFERED
from services.languages.language import own_name


def show_language(principal: Principal) -> None:
    """Ask for the language; a choice holds at once, in every browser."""
    st.subheader(_("Language"), anchor=False)
    spoken = language().tag
    chosen = st.selectbox(
        _("Language of these pages"),
        OFFERED,
        index=OFFERED.index(spoken),
        format_func=own_name,
        help=_("Until you choose one, it is that of your browser."),
        key="own-language",
        width=320,
    )
    if chosen != spoken:
        services().user_languages.choose(chosen, principal=principal)
        look_up_again()
        st.rerun()
