"""The bare address leads to the first page of whoever is signed in."""

import streamlit as st

from pages.shell import require_role
from services.auth import Role

if require_role(Role.ENGINEER).role is Role.ADMIN:
    st.switch_page("admin/overview.py")
st.switch_page("engineer/submit_reading.py")
