"""Bills that money which went back has opened again: the office decides on each."""

from typing import Final

import streamlit as st

from pages.languages.words import Said, _, say
from pages.registry import BILL
from pages.shared.components import chosen_page, page_number
from pages.shared.format import escaped, moment, money
from pages.shared.permitted import page_link
from pages.shared.session import may, services, today, zone
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.payments.entry_forms import InvalidEntry
from services.records.bills import Bill, invoice_reference
from services.records.ledger import ReturnedBill

_KEY: Final = "returned-page"
_AT_ONCE: Final = 5
_SPARED: Final = Said(
    {
        "bank_debit": N_(
            "The customer's bank is paying it, which takes days: nobody is reminded or marked "
            "overdue meanwhile."
        ),
        "autopay": N_("Autopay is to pay it: nobody is reminded or marked overdue meanwhile."),
        "money_returned": N_(
            "Money of it went back. It is neither linked, reminded of nor marked overdue until the "
            "office collects it again."
        ),
    }
)


def show_returned_bills(principal: Principal) -> None:
    """Each such bill that waits for a decision, if there are any."""
    found = services().payments.returned_bills(
        principal=principal, page=chosen_page(_KEY), page_size=_AT_ONCE
    )
    if not found.total:
        return
    st.subheader(_("Collect again?"), anchor=False)
    st.caption(_("Money of these bills went back. Nobody is asked to pay them until you say so."))
    with st.container(gap="xsmall"):
        for bill in found.items:
            _show(bill)
    page_number(total=found.total, page_size=_AT_ONCE, key=_KEY)


def show_spared(bill: Bill, principal: Principal) -> None:
    """Why nobody is pressed for a bill now, and for those who may the way to collect it."""
    if bill.spared_because is None or bill.balance_minor <= 0:
        return
    with st.container(border=True):
        why = _SPARED[bill.spared_because]
        if bill.spared_because == "autopay" and bill.autopay is not None:
            why += f" {say(bill.autopay.to_the_office(today()))}"
        st.info(why, icon=":material/pause_circle:")
        may_collect = may(Permission.ARRANGE_ACCOUNTS)
        if bill.spared_because == "money_returned" and may_collect:
            _ask(bill, principal)


def _ask(bill: Bill, principal: Principal) -> None:
    with st.popover(_("Collect again"), icon=":material/gavel:"):
        reason = st.text_input(_("Why"), key=f"collect-reason-{bill.id}")
        if not st.button(_("Collect this bill again"), type="primary", key=f"collect-{bill.id}"):
            return
        try:
            services().account_adjustments.collect_again(
                bill_id=bill.id, reason=reason, principal=principal
            )
        except InvalidEntry as error:
            st.error(escaped(say(error)), icon=":material/edit:")
            return
    st.toast(_("The bill is collected again."), icon=":material/check_circle:")
    st.rerun()


def _show(bill: ReturnedBill) -> None:
    with st.container(border=True, gap="xsmall"):
        number = invoice_reference(bill.bill_number)
        amount = escaped(money(bill.open_minor, bill.currency))
        page_link(
            BILL,
            label=_(
                "**{number}** · {amount} · account {account}",
                number=number,
                amount=amount,
                account=escaped(bill.account_no),
            ),
            icon=":material/receipt_long:",
            query_params={"id": bill.bill_id},
        )
        st.caption(
            _(
                "{detail} Since {moment}",
                detail=escaped(bill.detail),
                moment=moment(bill.since, zone()),
            )
        )
