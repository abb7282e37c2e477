"""Events of Stripe as rows: what happened, when, and what it changed here."""

from typing import Final

import streamlit as st

from pages.registry import PAYMENT
from pages.shared.components import chosen_page, page_number, status_badge
from pages.shared.format import Color, counted, escaped, moment, money
from pages.shared.permitted import page_link
from pages.shared.session import services, zone
from services.identity.auth import Principal
from services.records.bills import invoice_reference
from services.records.reconciliation import EventOutcome, StripeEvent

OUTCOME: Final[dict[str, tuple[str, Color]]] = {
    "applied": ("Taken", "green"),
    "waiting": ("Waits for another", "orange"),
    "kept": ("Kept", "gray"),
    "ignored": ("Not ours", "gray"),
}
_BY: Final = {"webhook": "by the webhook", "reconciliation": "by asking Stripe"}
_PAGE_SIZE: Final = 12


def show_events(text: str, outcome: EventOutcome | None, principal: Principal) -> None:
    """A page of the events that fit, the newest first; the database searches, counts and cuts."""
    key = f"stripe-events-page-{text}-{outcome}"
    found = services().stripe.events(
        text=text,
        outcome=outcome,
        principal=principal,
        page=chosen_page(key),
        page_size=_PAGE_SIZE,
    )
    nothing = "No event fits." if text or outcome else "No event of Stripe yet."
    st.caption(counted(found.total, "event") if found.total else nothing)
    with st.container(gap="xsmall"):
        for event in found.items:
            _show_event(event)
    page_number(total=found.total, page_size=_PAGE_SIZE, key=key)


def _show_event(event: StripeEvent) -> None:
    with st.container(border=True, gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escaped(event.type)}**", width="content")
            status_badge(event.outcome, OUTCOME)
        if event.detail:
            st.markdown(escaped(event.detail))
        if event.payment_id:
            page_link(
                PAYMENT,
                label=escaped(_payment(event)),
                icon=":material/payments:",
                query_params={"id": event.payment_id},
            )
        came = f"{moment(event.created_at, zone())} · came {_BY[event.arrived_by]}"
        of = [event.id, event.object_id, event.payment_intent or ""]
        st.caption(f"{came}  \n:small[{escaped(' · '.join(filter(None, of)))}]")


def _payment(event: StripeEvent) -> str:
    parts = []
    if event.payment_minor is not None and event.payment_currency:
        parts.append(f"Payment of {money(event.payment_minor, event.payment_currency)}")
    if event.bill_number is not None:
        parts.append(invoice_reference(event.bill_number))
    if event.account_no:
        parts.append(f"account {event.account_no}")
    return " · ".join(parts)
