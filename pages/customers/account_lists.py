"""One customer's bills and payments, as the lists of all of them show them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import streamlit as st

from pages.bills.bill_columns import COLUMNS as BILL_COLUMNS
from pages.bills.bill_columns import summary as bill_summary
from pages.languages.words import _
from pages.payments.payment_cards import COLUMNS as PAYMENT_COLUMNS
from pages.payments.payment_cards import summary as payment_summary
from pages.registry import BILL, PAYMENT
from pages.shared.components import chosen_page, page_number
from pages.shared.format import counted, day, escaped, money
from pages.shared.list_columns import Column, Listing, Row
from pages.shared.listing import show_list
from pages.shared.session import services
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.records.lists import BillFilter, PaymentFilter

_PAST: Final = 10
# The page says already whose they are.
_SAID: frozenset[str] = frozenset((N_("Customer"), N_("Account")))


def show_bills(customer_id: str, principal: Principal) -> None:
    """A page of the customer's bills, the last period first, drafts and void ones too."""
    lists, wanted = services().lists, BillFilter(customer_id=customer_id)
    show_list(
        Listing(
            noun="bill",
            page=BILL,
            columns=_own(BILL_COLUMNS, title=N_("Number")),
            summary=bill_summary,
            sort="period",
            descending=True,
            asked=wanted,
            fetch=lambda page: lists.bills(wanted=wanted, page=page, principal=principal),
            file=lambda page, kind, ids: lists.bills_file(
                wanted=replace(wanted, ids=ids), page=page, kind=kind, principal=principal
            ),
        )
    )


def show_payments(customer_id: str, principal: Principal) -> None:
    """A page of the customer's payments and deposits, the last received first."""
    lists, wanted = services().lists, PaymentFilter(customer_id=customer_id)
    show_list(
        Listing(
            noun="payment",
            page=PAYMENT,
            columns=_own(PAYMENT_COLUMNS, title=N_("Received")),
            summary=payment_summary,
            sort="received",
            descending=True,
            asked=wanted,
            fetch=lambda page: lists.payments(wanted=wanted, page=page, principal=principal),
            file=lambda page, kind, ids: lists.payments_file(
                wanted=replace(wanted, ids=ids), page=page, kind=kind, principal=principal
            ),
        )
    )


def show_past_payments(customer_id: str, principal: Principal) -> None:
    """Payments that another system took, if any were brought in; they pay nothing here."""
    key = f"past-payments-{customer_id}"
    found = services().customers.past_payments(
        customer_id=customer_id, principal=principal, page=chosen_page(key), page_size=_PAST
    )
    if not found.total:
        return
    label = _("{payments} from before this system", payments=counted(found.total, "payment"))
    with st.expander(label, icon=":material/history:"):
        st.caption(_("History. What they left open is in the opening balance."))
        st.table(
            [
                {
                    _("Received"): day(payment.received_on),
                    _("Amount"): escaped(money(payment.amount_minor, payment.currency)),
                    _("Method"): escaped(payment.method),
                    _("Reference"): escaped(payment.reference),
                }
                for payment in found.items
            ],
            hide_index=True,
        )
        page_number(total=found.total, page_size=_PAST, key=key)


def _own(columns: Sequence[Column[Row]], *, title: str) -> tuple[Column[Row], ...]:
    return tuple(
        replace(column, place="title") if column.label == title else column
        for column in columns
        if column.label not in _SAID
    )
