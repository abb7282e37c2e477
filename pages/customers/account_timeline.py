"""All that happened to an account in one list, the newest first, each with the way to it."""

from typing import Final

import streamlit as st

from pages.registry import BILL, PAYMENT
from pages.shared.components import chosen_page, page_number
from pages.shared.detail import Event, show_timeline_of
from pages.shared.format import OCCASION, moment, money
from pages.shared.money_format import ICON, entry_name
from pages.shared.session import services, zone
from pages.system.notification_cards import CHANNELS, STATUS
from services.identity.auth import Principal
from services.quantities.period import local_date
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
    # The oldest first: of one day the last comes first again.
    show_timeline_of(_event(event) for event in reversed(found.items))
    page_number(total=found.total, page_size=_PAGE_SIZE, key=key)


def _event(event: TimelineEvent) -> Event:
    amount = event.amount_minor
    page, found = (PAYMENT, event.payment_id) if event.payment_id else (BILL, event.bill_id)
    sent = event.what == "message" and event.status
    return Event(
        on=event.on_date or local_date(event.at, zone()),
        what=_name(event),
        icon=ICON.get(event.what, "event_note" if event.what.startswith("plan") else "edit"),
        more=_why(event),
        amount=money(amount, event.currency) if amount is not None and event.currency else "",
        state=STATUS.get(event.status or "") if sent else None,
        page=page if found else None,
        id=found or "",
    )


def _name(event: TimelineEvent) -> str:
    if event.what == "message":
        about = invoice_reference(event.bill_number) if event.bill_number is not None else ""
        return f"Message: {OCCASION.get(event.note, event.note)} {about}".strip()
    return _WORDS.get(event.what) or entry_name(event, event.what)


def _why(event: TimelineEvent) -> str:
    if event.what == "message":
        channel = CHANNELS.get(event.channel or "", event.channel or "")
        return f"{moment(event.at, zone())} · {channel}"
    by = "" if event.actor == "system" else f"by {event.actor}"
    return " · ".join(filter(None, (event.note, by)))
