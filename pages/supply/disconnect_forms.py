"""The forms for cutting the supply of a place, bringing it back, and taking either back."""

from dataclasses import replace

import streamlit as st

from pages.languages.words import _
from pages.shared.number_field import number_field
from pages.shared.session import services
from pages.supply.ask import ask_day, ask_read
from services.identity.auth import Principal
from services.quantities.money import Money
from services.records.supply import Place
from services.supply.changes import (
    Change,
    Disconnect,
    NotDisconnected,
    NotReconnected,
    Reconnect,
)


def ask_disconnect(place: Place, form: str, _principal: Principal) -> Change | None:
    """Since when their supply is cut."""
    with st.form(f"ask-{form}"):
        on = ask_day(_("Disconnected on"), form)
        read = ask_read(_("Reading on that day (kWh)"), form, place)
        if not st.form_submit_button(_("Show what it does"), type="primary"):
            return None
    return Disconnect(place.point.id, on, read)


def ask_reconnect(place: Place, form: str, _principal: Principal) -> Change | None:
    """Since when they are supplied again, and the fee for it."""
    currency = place.agreement.currency if place.agreement else None
    currency = currency or services().settings.currency
    usual = services().settings.fees.get(currency, {}).get("reconnection", 0)
    with st.form(f"ask-{form}"):
        on = ask_day(_("Reconnected on"), form)
        read = ask_read(_("Reading on that day (kWh)"), form, place)
        rolled_over = st.checkbox(_("The register rolled over before it"), key=f"rolled-{form}")
        fee = number_field(
            _("Reconnection fee ({currency})", currency=currency),
            key=f"fee-{form}",
            value=Money(usual, currency).text if usual else "",
        )
        st.caption(_("It appears on the customer's statement. Leave it empty to charge none."))
        if not st.form_submit_button(_("Show what it does"), type="primary"):
            return None
    return Reconnect(place.point.id, on, replace(read, rolled_over=rolled_over), fee)


def ask_not_disconnected(place: Place, form: str, _principal: Principal) -> Change | None:
    """Nothing to ask."""
    return None if f"shown-{form}" in st.session_state else NotDisconnected(place.point.id)


def ask_not_reconnected(place: Place, form: str, _principal: Principal) -> Change | None:
    """Nothing to ask."""
    return None if f"shown-{form}" in st.session_state else NotReconnected(place.point.id)
