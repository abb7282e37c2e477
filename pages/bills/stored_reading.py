"""Readings that were stored without a bill, and a way for the office to bill one."""

from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.shared.format import escaped, kwh, moment, money, period
from pages.shared.session import may, now, services, zone
from services.billing.chain_retry import MeterTooBusy
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.rating import UnableToPriceBill
from services.readings.review import CannotBillReading
from services.records.details import BillDetail
from services.records.readings import Reading

_CANNOT: Final = (CannotBillReading, UnableToPriceBill, MeterTooBusy)
_MOST: Final = 5


def show_stored_after(found: BillDetail, principal: Principal) -> None:
    """The accepted readings after a meter's last bill: they wait for the next one."""
    since = found.read_since
    if not since or not found.is_last_of_meter:
        return
    with st.container(border=True, gap="xsmall"):
        st.markdown(_("**Read since then, not billed**"))
        for reading in since[-_MOST:]:
            read_at = moment(reading.read_at, zone())
            st.markdown(f"{kwh(reading.register_wh)} · {read_at}")
        offer_billing(since[-1], principal)


def offer_billing(reading: Reading, principal: Principal) -> None:
    """Bill the meter up to a stored reading, after a look at what that comes to."""
    if not may(Permission.DECIDE_READINGS):
        return
    if reading.status != "accepted" or reading.bill_id is not None or reading.is_opening:
        return
    with st.popover(_("Bill it now"), icon=":material/receipt_long:"):
        try:
            bills = services().reading_review.bills_of_stored(reading_id=reading.id, now=now())
        except _CANNOT as error:
            st.markdown(escaped(say(error)))
            return
        for bill in bills:
            total = escaped(money(bill.rated.total_minor, bill.rated.currency))
            spans = period(bill.opening.read_on, bill.closing.read_on)
            st.markdown(f"{spans}: {kwh(bill.consumption_wh)}, **{total}**")
            if bill.held_because:
                st.warning(
                    escaped(
                        _(
                            "{held_because} It is kept as a draft.",
                            held_because=say(bill.held_because),
                        )
                    )
                )
        if st.button(_("Yes, bill it"), type="primary", key=f"bill-{reading.id}"):
            _bill(reading, principal)


def _bill(reading: Reading, principal: Principal) -> None:
    try:
        services().reading_review.bill_stored(reading_id=reading.id, principal=principal, now=now())
    except _CANNOT as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    st.toast(_("The reading is billed."), icon=":material/check_circle:")
    st.rerun()
