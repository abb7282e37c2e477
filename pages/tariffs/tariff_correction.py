"""Correcting a published version: /tariff-correction?code=…&from=… and reissuing its bills."""

import streamlit as st

from pages.languages.words import _
from pages.registry import TARIFF
from pages.shared.permitted import page_link
from pages.shared.session import require_permission
from pages.tariffs.tariff_correcting import show_tariff_correction
from services.identity.permissions import Permission

principal = require_permission(Permission.VOID_BILLS)
code = st.query_params.get("code", "")
page_link(
    TARIFF,
    label=_("The tariff"),
    icon=":material/arrow_back:",
    query_params={"code": code},
)
show_tariff_correction(code=code, begins=st.query_params.get("from", ""), principal=principal)
