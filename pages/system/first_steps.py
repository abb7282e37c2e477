"""What a new utility does first, each step ticked once it is done."""

import streamlit as st

from pages.languages.words import _, say
from pages.registry import IMPORTS, SETTINGS, SUBMIT_READING, TARIFF_EDITOR, PageEntry
from pages.shared.format import escaped
from pages.shared.permitted import page_link
from pages.shared.session import services
from services.identity.auth import Principal


def show_first_steps(principal: Principal) -> bool:
    """The steps of a new utility; False, and nothing is shown, once all are done."""
    is_named, there = services().settings_desk.first_steps(principal=principal)
    name = escaped(services().settings.utility_name)
    steps: tuple[tuple[bool, PageEntry, str, str], ...] = (
        (
            is_named,
            SETTINGS,
            _("Give your name"),
            _("Pages and bills say “{name}” until then.", name=name),
        ),
        (there.tariffs, TARIFF_EDITOR, _("Add a tariff"), _("Begin with a template or a file.")),
        (
            there.customers and there.meters,
            IMPORTS,
            _("Add customers and meters"),
            _("From a spreadsheet of yours: first the customers, then their meters."),
        ),
        (
            there.readings,
            SUBMIT_READING,
            _("Submit the first reading"),
            _("Its bill comes at once."),
        ),
    )
    if lacks := services().issuer.terms().lacks:
        steps += ((False, SETTINGS, _("Say what bills must say"), escaped(say(lacks))),)
    if all(is_done for is_done, *__ in steps):
        return False
    with st.container(border=True, gap="small"):
        done = sum(is_done for is_done, *__ in steps)
        st.markdown(_("**First steps** · {done} of {steps} done", done=done, steps=len(steps)))
        for is_done, page, label, more in steps:
            icon = ":material/check_circle:" if is_done else ":material/radio_button_unchecked:"
            with st.container(gap=None):
                page_link(page, label=label, icon=icon)
                if not is_done:
                    st.caption(more)
    return True
