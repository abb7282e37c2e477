"""What a person must look at first among payments, and what a list shows of each."""

from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.registry import PAYMENT
from pages.shared.components import chosen_page, page_number
from pages.shared.format import Color, counted, day, escaped, money
from pages.shared.list_columns import Column
from pages.shared.money_format import FLAG, METHOD_NAME, PAYMENT_STATUS, received
from pages.shared.permitted import page_link
from pages.shared.session import services
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.records.bills import invoice_reference
from services.records.ledger import Payment, PaymentFlag

_FLAGS_KEY: Final = "flagged-payments-page"
_FLAGS_AT_ONCE: Final = 4


def show_flags(principal: Principal) -> None:
    """The flags that nobody has looked at, the oldest first, if there are any."""
    found = services().payments.open_flags(
        principal=principal, page=chosen_page(_FLAGS_KEY), page_size=_FLAGS_AT_ONCE
    )
    if not found.total:
        return
    with st.container(border=True, gap="small"):
        st.markdown(
            _(
                ":material/flag: **Needs a look** · {counted}",
                counted=counted(found.total, "payment"),
            )
        )
        for flag in found.items:
            _show_flag(flag)
        page_number(total=found.total, page_size=_FLAGS_AT_ONCE, key=_FLAGS_KEY)


def _show_flag(flag: PaymentFlag) -> None:
    amount = money(flag.amount_minor, flag.currency)
    whose = _(" · account {account_no}", account_no=flag.account_no) if flag.account_no else ""
    with st.container(gap="xxsmall"):
        page_link(
            PAYMENT,
            label=f"**{escaped(amount)}**{escaped(whose)}",
            icon=":material/payments:",
            query_params={"id": flag.payment_id},
        )
        st.caption(f"{FLAG[flag.reason]} {escaped(say(flag.detail))}")


def summary(payment: Payment) -> list[str]:
    """What a card says of a payment."""
    said = [received(payment.method, payment.received_on, payment.reference)]
    if payment.account_no:
        said.append(_("Account {account_no}", account_no=payment.account_no))
    return said


def _status_color(payment: Payment) -> Color:
    return PAYMENT_STATUS[payment.status][1]


COLUMNS: tuple[Column[Payment], ...] = (
    Column(
        label=N_("Customer"),
        text=lambda payment: payment.customer_name or _("Nobody known"),
        sort="customer",
        place="title",
    ),
    Column(label=N_("Account"), text=lambda payment: payment.account_no or "–"),
    Column(
        label=N_("Received"),
        text=lambda payment: day(payment.received_on),
        sort="received",
        largest_first=True,
    ),
    Column(label=N_("By"), text=lambda payment: METHOD_NAME[payment.method]),
    Column(
        label=N_("Reference"),
        text=lambda payment: payment.reference or payment.provider_id or "–",
        place="text",
    ),
    Column(
        label=N_("For bill"),
        text=lambda payment: (
            invoice_reference(payment.bill_number) if payment.bill_number is not None else "–"
        ),
    ),
    Column(
        label=N_("Amount"),
        text=lambda payment: money(payment.amount_minor, payment.currency),
        sort="amount",
        largest_first=True,
        right=True,
        place="amount",
    ),
    Column(
        label=N_("Status"),
        text=lambda payment: PAYMENT_STATUS[payment.status][0],
        color=_status_color,
        flag=lambda payment: _("Needs a look") if payment.flags else "",
        place="status",
    ),
)
