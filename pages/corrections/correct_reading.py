"""Correcting a reading under an address of its own: /correct-reading?id=…"""

import streamlit as st

from pages.corrections.reading_form import show_reading_correction
from pages.shared.session import require_permission
from services.identity.permissions import Permission

principal = require_permission(Permission.DECIDE_READINGS)
show_reading_correction(st.query_params.get("id", ""), principal)
