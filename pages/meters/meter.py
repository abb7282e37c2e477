"""One meter under an address of its own: /meter?id=…"""

import streamlit as st

from pages.meters.meter_detail import show_meter_page
from pages.shared.session import require_role
from services.identity.auth import Role

principal = require_role(Role.ADMIN)
show_meter_page(st.query_params.get("id", ""), principal)
