"""Bank lines: what a bank's statements brought, who was matched and why, and what waits."""

from collections.abc import Mapping
from typing import Final

import streamlit as st

from pages.bank.line_cards import show_line
from pages.languages.words import Said, _
from pages.registry import BANK_LINES, IMPORTS
from pages.shared.components import chosen_page, page_number
from pages.shared.detail import chosen_view
from pages.shared.form_ids import show_done
from pages.shared.format import counted
from pages.shared.header import header
from pages.shared.session import may, require_permission, services
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.records.reconciliation import BankLineStatus

_PAGE_SIZE: Final = 10
# The words people see are also what stands in the address.
_STATUS_OF: Final[dict[str, BankLineStatus]] = {
    N_("To decide"): "open",
    N_("Matched"): "matched",
    N_("Set aside"): "set_aside",
    N_("Money out"): "out",
}
_NONE: Final[Mapping[BankLineStatus, str]] = Said(
    {
        "open": N_("Nothing waits: each line has its customer or was set aside."),
        "matched": N_("No line has become a payment yet."),
        "set_aside": N_("No line was set aside."),
        "out": N_("No money left the account in the statements so far."),
    }
)


def _page() -> None:
    with header(BANK_LINES.title):
        if may(*IMPORTS.needs) and st.button(
            _("Import a statement"), type="primary", icon=":material/upload_file:"
        ):
            st.session_state["kind"] = "bank_statements"
            st.switch_page(IMPORTS.script)
    show_done()
    status = _STATUS_OF[chosen_view(tuple(_STATUS_OF))]
    key = f"bank-lines-{status}"
    found = services().bank_lines.lines(
        status=status, principal=principal, page=chosen_page(key), page_size=_PAGE_SIZE
    )
    if not found.total:
        st.caption(_NONE[status])
        return
    st.caption(counted(found.total, "line"))
    for line in found.items:
        show_line(line, principal)
    page_number(total=found.total, page_size=_PAGE_SIZE, key=key)


principal = require_permission(Permission.VIEW_PAYMENTS)
_page()
