"""All that happened to an account in one list, the newest first, each with the way to it."""

from typing import Final

import streamlit as st

from pages.registry import BILL, PAYMENT
from pages.shared.components import chosen_page, page_number, status_badge
from pages.shared.format import OCCASION, day, escaped, moment, money
from pages.shared.money_format import ICON, entry_name
from pages.shared.session import services, zone
from pages.system.notification_cards import CHANNELS, STATUS
from services.identity.auth import Principal
from services.records.bills import invoice_reference
from services.records.ledger import Account, TimelineEvent

_PAGE_SIZE: Final = 15
_WORDS: Final = {
    "return_pending": "Refund asked of Stripe",
    "return_failed": "Refund failed",
    "plan_agreed": "Instalment plan agreed",
    "plan_broken": "Instalment plan broken",
    "plan_cancelled": "Instalment plan cancelled",
}


def show_timeline(account: Account, principal: Principal) -> None:
    """A page of what happened; the database puts it together and cuts."""
    key = f"timeline-{account.id}"
    found = services().customers.timeline(
        customer_id=account.id,
        principal=principal,
        page=chosen_page(key),
        page_size=_PAGE_SIZE,
    )
    if not found.total:
        st.caption("Nothing has happened yet.")
        return
    with st.container(gap="xsmall"):
        for event in found.items:
            with st.container(border=True, gap="xxsmall"):
                _show_event(event)
    page_number(total=found.total, page_size=_PAGE_SIZE, key=key)


def _show_event(event: TimelineEvent) -> None:
    with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
        _show_name(event)
        if event.amount_minor is not None and event.currency:
            amount = escaped(money(event.amount_minor, event.currency))
            st.markdown(f"**{amount}**", width="content", text_alignment="right")
        if event.what == "message" and event.status:
            status_badge(event.status, STATUS)
    st.caption(_when_and_why(event))


def _show_name(event: TimelineEvent) -> None:
    icon = ICON.get(event.what, "event_note" if event.what.startswith("plan") else "edit")
    label, to = f"**{escaped(_name(event))}**", f":material/{icon}:"
    if event.payment_id:
        page, found = PAYMENT.script, event.payment_id
    elif event.bill_id:
        page, found = BILL.script, event.bill_id
    else:
        st.markdown(f"{to} {label}", width="stretch")
        return
    st.page_link(page, label=label, icon=to, query_params={"id": found}, width="stretch")


def _name(event: TimelineEvent) -> str:
    if event.what == "message":
        about = invoice_reference(event.bill_number) if event.bill_number is not None else ""
        return f"Message: {OCCASION.get(event.note, event.note)} {about}".strip()
    return _WORDS.get(event.what) or entry_name(event, event.what)


def _when_and_why(event: TimelineEvent) -> str:
    when = day(event.on_date) if event.on_date else moment(event.at, zone())
    if event.what == "message":
        channel = CHANNELS.get(event.channel or "", event.channel or "")
        return escaped(f"{moment(event.at, zone())} · {channel}")
    by = "" if event.actor == "system" else f"by {event.actor}"
    return escaped(" · ".join(filter(None, (when, event.note, by))))
