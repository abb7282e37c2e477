"""Work orders for whoever does them: which supplies to cut and to bring back, and where."""

import streamlit as st

from pages.dunning.orders import show_order_cards
from pages.languages.words import _, ngettext
from pages.registry import WORK_ORDERS
from pages.shared.header import show_header
from pages.shared.session import may, require_permission, services
from services.identity.permissions import Permission

principal = require_permission(Permission.SUBMIT_READINGS, Permission.VIEW_DUNNING)
show_header(WORK_ORDERS.title)
orders = services().dunning.open_orders(principal=principal)
st.caption(
    _(
        "Supplies to cut, and to bring back. Do the work, then read the meter; where it could not "
        "be done, say so on the round. Look here once more before you cut a supply: who pays "
        "meanwhile is no longer in the list. A smart meter is switched from afar, or by a visit."
    )
)
if not orders:
    st.info(_("There is no open order."), icon=":material/done_all:")
else:
    st.caption(ngettext("{count} order", "{count} orders", len(orders)))
show_order_cards(orders, with_customer=may(Permission.VIEW_CUSTOMERS))
