"""How pages show a charge of autopay: what, of whom, when, and why it failed."""

from typing import Final

import streamlit as st

from pages.registry import CUSTOMER
from pages.shared.format import Color, day, escaped
from pages.shared.permitted import page_link
from services.records.customers.autopay import Charge, ChargeStatus

STATUS: Final[dict[ChargeStatus, tuple[str, Color]]] = {
    "planned": ("Not announced yet", "gray"),
    "announced": ("Announced", "blue"),
    "charging": ("Under way", "violet"),
    "waiting": ("Tried again", "orange"),
    "paid": ("Paid", "green"),
    "failed": ("Failed", "red"),
    "dropped": ("Not charged", "gray"),
}


def show_charge(charge: Charge, *, named: bool = True) -> None:
    """One charge; `named` with a link to its customer."""
    name, color = STATUS[charge.status]
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            if named:
                page_link(
                    CUSTOMER,
                    label=f"{escaped(charge.customer_name)}, {escaped(charge.account_no)}",
                    query_params={"id": charge.customer_id},
                )
            st.badge("To be confirmed" if charge.confirm_id else name, color=color)
        st.markdown(f"**{escaped(charge.amount.display())}** · {escaped(charge.method)}")
        st.caption(escaped(" · ".join(_about(charge))))


def _about(charge: Charge) -> list[str]:
    words = [f"{charge.reference}, due {day(charge.due_on)}"]
    if charge.ended_at is None:
        words.append(f"charged on {day(charge.charge_on)}")
    if charge.attempts:
        words.append("tried once" if charge.attempts == 1 else f"tried {charge.attempts} times")
    if charge.detail:
        words.append(charge.detail.rstrip("."))
    return words
