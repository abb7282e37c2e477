"""A reading that could not be taken is estimated: /estimate-reading?meter=…&on=…"""

import streamlit as st

from pages.readings.estimate_form import show_estimate
from pages.shared.session import require_permission
from services.identity.permissions import Permission

principal = require_permission(Permission.DECIDE_READINGS)
show_estimate(st.query_params.get("meter", ""), st.query_params.get("on", ""), principal)
