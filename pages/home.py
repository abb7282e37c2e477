"""The bare address leads to the first page of whoever is signed in."""

import streamlit as st

from pages.registry import OVERVIEW, SUBMIT_READING
from pages.shared.session import require_role
from services.identity.auth import Role

if require_role(Role.ENGINEER).role is Role.ADMIN:
    st.switch_page(OVERVIEW.script)
st.switch_page(SUBMIT_READING.script)
