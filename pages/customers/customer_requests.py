"""What customers ask on their pages: disputes and notices of moving out, to be answered."""

from typing import Final

import streamlit as st

from pages.customers.request_cards import show_request
from pages.languages.words import _
from pages.registry import CUSTOMER_REQUESTS
from pages.shared.components import chosen_page, page_number
from pages.shared.detail import chosen_view
from pages.shared.form_ids import show_done
from pages.shared.header import show_header
from pages.shared.session import require_permission, services
from services.identity.permissions import Permission
from services.languages.sentence import N_

_AT_ONCE: Final = 10

principal = require_permission(Permission.VIEW_CUSTOMERS)
show_header(CUSTOMER_REQUESTS.title)
show_done()
waiting = chosen_view((N_("Waiting"), N_("Closed"))) == "Waiting"
key = f"customer-requests-{waiting}"
found = services().customer_page.requests.listed(
    still_open=waiting, principal=principal, page=chosen_page(key), page_size=_AT_ONCE
)
if not found.total:
    st.caption(_("Nothing waits for an answer.") if waiting else _("Nothing was closed yet."))
for request in found.items:
    show_request(request, principal)
page_number(total=found.total, page_size=_AT_ONCE, key=key)
