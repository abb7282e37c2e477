"""Correcting a bill under an address of its own: /correct-bill?id=…"""

import streamlit as st

from pages.corrections.correction_form import show_correction
from pages.languages.words import _
from pages.registry import BILL
from pages.shared.permitted import page_link
from pages.shared.session import require_permission
from services.identity.permissions import Permission

principal = require_permission(Permission.VOID_BILLS)
bill_id = st.query_params.get("id", "")
page_link(BILL, label=_("The bill"), icon=":material/arrow_back:", query_params={"id": bill_id})
show_correction(bill_id, principal)
