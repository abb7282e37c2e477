"""Bills that could not be printed in full, for administrators."""

import streamlit as st

from pages.languages.words import _, say
from pages.registry import BILL
from pages.shared.components import chosen_page, page_number
from pages.shared.format import counted, escaped, moment
from pages.shared.permitted import page_link
from pages.shared.session import services, zone
from services.identity.auth import Principal
from services.records.bills import invoice_reference
from services.records.messages import UnprintedBill

_KEY = "unprinted-page"
_AT_ONCE = 5


def show_unprinted_bills(principal: Principal) -> None:
    """Each such bill with the reason, if there are any; they are tried again by themselves."""
    found = services().bills.unprinted(
        principal=principal, page=chosen_page(_KEY), page_size=_AT_ONCE
    )
    if not found.total:
        return
    st.subheader(_("Not printed"), anchor=False)
    st.caption(
        _(
            "{bills} could not be printed in full, so no PDF is kept yet.",
            bills=counted(found.total, "bill"),
        )
    )
    with st.container(gap="xsmall"):
        for bill in found.items:
            _show(bill)
    page_number(total=found.total, page_size=_AT_ONCE, key=_KEY)


def _show(bill: UnprintedBill) -> None:
    with st.container(border=True, gap="xsmall"):
        page_link(
            BILL,
            label=_(
                "**{name}** · account {account_no}",
                name=invoice_reference(bill.bill_number),
                account_no=escaped(bill.account_no),
            ),
            icon=":material/receipt_long:",
            query_params={"id": bill.bill_id},
        )
        st.markdown(escaped(say(bill.reason)))
        st.caption(
            _(
                "Since {since}, tried {tried}",
                since=moment(bill.since, zone()),
                tried=moment(bill.tried_at, zone()),
            )
        )
