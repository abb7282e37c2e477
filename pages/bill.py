"""One bill under an address of its own: /bill?id=… Engineers see it if they read the meter."""

import streamlit as st

from pages.bill_card import show_bill
from pages.bill_detail import show_bill_detail
from pages.shell import note_denied, require_role, services
from pages.words import plain
from services.auth import NotAllowed, Role
from services.bill_access import readable_bill

principal = require_role(Role.ENGINEER)
bill_id = st.query_params.get("id", "")
if principal.role is Role.ADMIN:
    st.page_link("admin/bills.py", label="All bills", icon=":material/arrow_back:")
    show_bill_detail(bill_id, principal)
else:
    st.page_link("engineer/my_readings.py", label="My readings", icon=":material/arrow_back:")
    try:
        bill = readable_bill(services().database, principal=principal, bill_id=bill_id)
    except NotAllowed as error:
        note_denied(principal, str(error))
        st.error(f"Not allowed: {plain(error)}", icon=":material/lock:")
    else:
        show_bill(bill)
