"""One tariff under an address of its own: /tariff?code=… with its versions, and each tried out."""

import streamlit as st

from pages.languages.words import _
from pages.registry import TARIFFS
from pages.shared.permitted import page_link
from pages.shared.session import require_permission
from pages.tariffs.tariff_detail import show_tariff
from services.identity.permissions import Permission

principal = require_permission(Permission.VIEW_TARIFFS)
page_link(TARIFFS, label=_("All tariffs"), icon=":material/arrow_back:")
show_tariff(st.query_params.get("code", ""), principal)
