"""Events of Stripe as rows: what happened, when, and what it changed here."""

from collections.abc import Mapping
from typing import Final

import streamlit as st

from pages.languages.words import Said, _, language, say
from pages.registry import PAYMENT
from pages.shared.components import chosen_page, page_number, status_badge
from pages.shared.format import Color, counted, escaped, moment, money
from pages.shared.permitted import page_link
from pages.shared.session import services, zone
from services.identity.auth import Principal
from services.languages.sentence import N_, P_
from services.records.bills import invoice_reference
from services.records.reconciliation import EventOutcome, StripeEvent

_OUTCOME: Final[Mapping[EventOutcome, tuple[str, Color]]] = {
    "applied": (P_("event", "Taken"), "green"),
    "waiting": (P_("event", "Waits for another"), "orange"),
    "kept": (P_("event", "Kept"), "gray"),
    "ignored": (P_("event", "Not ours"), "gray"),
}
_EVENT: Final = "event"
_CAME: Final = Said(
    {"webhook": N_("came by the webhook"), "reconciliation": N_("came by asking Stripe")}
)
_PAGE_SIZE: Final = 12


def outcomes() -> dict[str, tuple[str, Color]]:
    """What became of events, in the language of the visit, with a colour each."""
    said = language().pgettext
    return {name: (said(_EVENT, label), color) for name, (label, color) in _OUTCOME.items()}


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
    nothing = _("No event fits.") if text or outcome else _("No event of Stripe yet.")
    st.caption(counted(found.total, "event") if found.total else nothing)
    with st.container(gap="xsmall"):
        for event in found.items:
            _show_event(event)
    page_number(total=found.total, page_size=_PAGE_SIZE, key=key)


def _show_event(event: StripeEvent) -> None:
    with st.container(border=True, gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{escaped(event.type)}**", width="content")
            status_badge(event.outcome, outcomes())
        if event.detail:
            st.markdown(escaped(say(event.detail)))
        if event.payment_id:
            page_link(
                PAYMENT,
                label=escaped(_payment(event)),
                icon=":material/payments:",
                query_params={"id": event.payment_id},
            )
        came = f"{moment(event.created_at, zone())} · {_CAME[event.arrived_by]}"
        of = [event.id, event.object_id, event.payment_intent or ""]
        st.caption(f"{came}  \n:small[{escaped(' · '.join(filter(None, of)))}]")


def _payment(event: StripeEvent) -> str:
    parts = []
    if event.payment_minor is not None and event.payment_currency:
        amount = money(event.payment_minor, event.payment_currency)
        parts.append(_("Payment of {amount}", amount=amount))
    if event.bill_number is not None:
        parts.append(invoice_reference(event.bill_number))
    if event.account_no:
        parts.append(_("account {account_no}", account_no=event.account_no))
    return " · ".join(parts)
