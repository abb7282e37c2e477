"""Rounds: how each route stands, which meters could not be read, and what was refused."""

import streamlit as st

from pages.languages.words import _
from pages.readings.missed_reads import show_missed_reads
from pages.readings.refused_reads import show_refused_reads
from pages.readings.round_routes import show_routes
from pages.registry import ROUNDS
from pages.shared.detail import chosen_view
from pages.shared.header import header
from pages.shared.session import open_round, require_permission
from services.identity.permissions import Permission
from services.languages.sentence import N_

_FIRST = N_("Routes")
_VIEWS = {
    _FIRST: show_routes,
    N_("Could not be read"): show_missed_reads,
    N_("Refused"): show_refused_reads,
}

principal = require_permission(Permission.VIEW_READINGS)
with header(ROUNDS.title):
    if principal.may(Permission.SUBMIT_READINGS) and st.button(
        _("Open the round"), icon=":material/directions_walk:", type="tertiary"
    ):
        open_round()
_VIEWS[chosen_view(tuple(_VIEWS))](principal)
