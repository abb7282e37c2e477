"""Record a payment: find who pays, or come from a bill or an account (?bill=… or ?customer=…)."""

import streamlit as st

from pages.languages.words import _
from pages.payments.payment_form import ask_payment
from pages.payments.payment_payer import ask_payer, show_payer
from pages.registry import PAYMENTS, RECORD_PAYMENT
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import require_permission, services
from services.identity.permissions import Permission

principal = require_permission(Permission.RECORD_PAYMENTS)
page_link(PAYMENTS, label=_("All payments"), icon=":material/arrow_back:")
show_header(_("Record a payment"))
bill_id, customer_id = (st.query_params.get(name) for name in ("bill", "customer"))
if bill_id or customer_id:
    payer = services().payments.payer(
        bill_id=bill_id, customer_id=str(customer_id), principal=principal
    )
    page_link(RECORD_PAYMENT, label=_("Somebody else pays"), icon=":material/person_search:")
    with st.container(border=True):
        show_payer(payer.account, payer.bill)
        ask_payment(payer.account, principal, bill=payer.bill)
else:
    ask_payer(principal)
