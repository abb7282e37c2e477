"""Approvals: what somebody asked for that a second person decides on, and what became of it."""

from typing import Final

import streamlit as st

from pages.approvals.request_cards import show_request
from pages.languages.addresses import slug
from pages.languages.words import _
from pages.registry import APPROVALS, SETTINGS
from pages.shared.components import chosen_page, page_number
from pages.shared.detail import chosen_view
from pages.shared.form_ids import show_done
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import require_permission, services
from services.identity.permissions import Permission
from services.languages.sentence import N_

_AT_ONCE: Final = 10
_WAITING: Final = N_("Waiting")

principal = require_permission(Permission.VIEW_BILLS)
show_header(APPROVALS.title)
show_done()
waiting = chosen_view((_WAITING, N_("Decided"))) == _WAITING
key = f"approvals-{waiting}"
found = services().approvals.listed(
    waiting=waiting, principal=principal, page=chosen_page(key), page_size=_AT_ONCE
)
if not found.total:
    st.caption(_("Nothing waits for approval.") if waiting else _("Nothing was decided yet."))
if not services().settings.four_eyes:
    st.caption(_("The settings ask for no second person."))
    page_link(
        SETTINGS,
        _(SETTINGS.title),
        icon=":material/settings:",
        query_params={"view": slug(APPROVALS.title)},
    )
for request in found.items:
    show_request(request, principal)
page_number(total=found.total, page_size=_AT_ONCE, key=key)
