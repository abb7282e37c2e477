"""The bare address leads to the first page of whoever is signed in."""

import streamlit as st

from pages.registry import OVERVIEW, SUBMIT_READING
from pages.shared.session import require_permission
from services.identity.permissions import Permission

if require_permission().may(Permission.VIEW_BILLS):
    st.switch_page(OVERVIEW.script)
st.switch_page(SUBMIT_READING.script)
