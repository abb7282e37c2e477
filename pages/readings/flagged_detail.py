"""One flagged reading: why it was flagged, what each decision would bill, and the decision."""

import streamlit as st

from pages.bills.bill_card import show_bill
from pages.bills.stored_reading import offer_billing
from pages.languages.words import _, say
from pages.readings.exception_card import show_exception
from pages.readings.exception_decision import Decision, say_next, show_said
from pages.shared.components import status_badge
from pages.shared.format import READING_STATUS, escaped, kwh, moment
from pages.shared.session import called, services, zone
from services.identity.auth import Principal
from services.records.bills import Bill
from services.records.readings import Reading


def show_flagged(reading_id: str, principal: Principal) -> None:
    """The reading as it stands now; once somebody decided, what became of it."""
    show_said()
    found = services().readings.under_review(reading_id=reading_id, principal=principal)
    reading, context = found.reading, found.context
    if context is None:
        _show_decided(reading, found.bill)
        offer_billing(reading, principal)
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        show_exception(reading, context, principal)
    with right, st.container(border=True):
        st.markdown(_("**Your decision**"))
        Decision(reading, context, principal, _show_again).ask()


def _show_again(done: str) -> None:
    say_next(done)
    st.rerun()


def _show_decided(reading: Reading, bill: Bill | None) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(
                f"{kwh(reading.register_wh)} · {escaped(reading.meter_serial)}",
                anchor=False,
                width="content",
            )
            status_badge(reading.status, READING_STATUS)
        st.caption(escaped(reading.supplied))
        if reading.decided_by and reading.decided_at:
            st.markdown(
                _(
                    "Decided by {person} on {moment}: {reason}",
                    person=escaped(called(reading.decided_by)),
                    moment=moment(reading.decided_at, zone()),
                    reason=escaped(say(reading.decision_reason or "")),
                )
            )
    if bill:
        show_bill(bill)
