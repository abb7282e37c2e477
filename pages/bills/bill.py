"""One bill under an address of its own: /bill?id=… Engineers see it if they read the meter."""

import streamlit as st

from pages.bills.bill_card import show_bill
from pages.bills.bill_detail import show_bill_detail
from pages.languages.words import _, say
from pages.registry import MY_READINGS
from pages.shared.format import escaped
from pages.shared.permitted import page_link
from pages.shared.session import note_denied, require_permission, services
from services.identity.auth import NotAllowed
from services.identity.permissions import Permission

principal = require_permission(Permission.VIEW_BILLS, Permission.SUBMIT_READINGS)
bill_id = st.query_params.get("id", "")
if principal.may(Permission.VIEW_BILLS):
    show_bill_detail(bill_id, principal)
else:
    page_link(MY_READINGS, label=_("My readings"), icon=":material/arrow_back:")
    try:
        bill = services().bills.readable(bill_id=bill_id, principal=principal)
    except NotAllowed as error:
        note_denied(principal, str(error))
        st.error(_("Not allowed: {error}", error=escaped(say(error))), icon=":material/lock:")
    else:
        show_bill(bill)
