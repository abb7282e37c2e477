"""Connect a customer: customer, place, agreement, meter and opening reading on one page."""

import streamlit as st

from pages.registry import CONNECT, SERVICE_POINTS
from pages.shared.header import show_header
from pages.shared.session import require_role
from pages.supply.connect_form import show_connect
from services.identity.auth import Role

principal = require_role(Role.ADMIN)
st.page_link(SERVICE_POINTS.script, label="All service points", icon=":material/arrow_back:")
show_header(CONNECT.title)
show_connect(principal)
