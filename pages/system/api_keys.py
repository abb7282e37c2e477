"""API keys: what programs sign in with; made here, shown once, revoked here."""

import streamlit as st

from pages.languages.words import _
from pages.shared.header import show_header
from pages.shared.session import may, require_permission, services
from pages.system.key_cards import ask_new_key, show_key
from services.identity.permissions import Permission

principal = require_permission(Permission.VIEW_SECURITY)
show_header("API keys")
st.caption(_("A program sends its key as the header X-API-Key. We keep only a fingerprint of it."))
if may(Permission.MANAGE_KEYS):
    ask_new_key(principal)
keys = services().api_keys.listed(principal=principal)
if not keys:
    st.caption(_("There is no key yet."))
with st.container(gap="xsmall"):
    for key in keys:
        show_key(key, principal)
