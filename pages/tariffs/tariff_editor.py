"""Writing a tariff under an address of its own: /tariff-editor, or from a version ?code=…&from=…"""

import streamlit as st

from pages.languages.words import _
from pages.registry import TARIFFS
from pages.shared.permitted import page_link
from pages.shared.session import require_permission
from pages.tariffs.tariff_writing import show_editor
from services.identity.permissions import Permission

principal = require_permission(Permission.PUBLISH_TARIFFS)
page_link(TARIFFS, label=_("All tariffs"), icon=":material/arrow_back:")
show_editor(
    code=st.query_params.get("code", ""),
    begins=st.query_params.get("from", ""),
    principal=principal,
)
