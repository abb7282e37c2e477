"""One bill under an address of its own: /bill?id=… Engineers see the bill, the office all of it."""

import streamlit as st

from pages.bill_card import show_bill
from pages.bill_detail import show_bill_detail
from pages.shell import require_role, services
from services.auth import Role

principal = require_role(Role.ENGINEER)
bill_id = st.query_params.get("id", "")
if principal.role is Role.ADMIN:
    st.page_link("admin/bills.py", label="All bills", icon=":material/arrow_back:")
    show_bill_detail(bill_id, principal)
else:
    st.page_link("engineer/my_readings.py", label="My readings", icon=":material/arrow_back:")
    show_bill(services().database.bill(bill_id))
