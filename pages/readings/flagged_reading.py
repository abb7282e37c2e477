"""One flagged reading under an address of its own: /flagged-reading?id=…"""

import streamlit as st

from pages.languages.words import _
from pages.readings.flagged_detail import show_flagged
from pages.registry import FLAGGED_READINGS
from pages.shared.permitted import page_link
from pages.shared.session import require_permission
from services.identity.permissions import Permission

principal = require_permission(Permission.VIEW_READINGS)
page_link(FLAGGED_READINGS, label=_("All exceptions"), icon=":material/arrow_back:")
show_flagged(st.query_params.get("id", ""), principal)
