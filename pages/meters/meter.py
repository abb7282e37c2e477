"""One meter under an address of its own: /meter?id=…"""

import streamlit as st

from pages.meters.meter_detail import show_meter_page
from pages.shared.session import require_permission
from services.identity.permissions import Permission

principal = require_permission(Permission.VIEW_CUSTOMERS)
show_meter_page(st.query_params.get("id", ""), principal)
