"""How pages show a charge of autopay: what, of whom, when, and why it failed."""

from typing import Final

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.registry import CUSTOMER
from pages.shared.format import Color, day, escaped, money
from pages.shared.permitted import page_link
from pages.shared.session import today
from services.languages.sentence import N_, Sentence, sentence
from services.records.customers.autopay import Charge, ChargeStatus

STATUS: Final[dict[ChargeStatus, tuple[str, Color]]] = {
    "planned": (N_("Not announced yet"), "gray"),
    "announced": (N_("Announced"), "blue"),
    "charging": (N_("Under way"), "violet"),
    "waiting": (N_("Tried again"), "orange"),
    "paid": (N_("Paid"), "green"),
    "failed": (N_("Failed"), "red"),
    "dropped": (N_("Not charged"), "gray"),
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
            st.badge(_("To be confirmed") if charge.confirm_id else _(name), color=color)
        # Of what was dropped before anybody heard of it there is no amount.
        amount = money(charge.amount.minor, charge.amount.currency) if charge.amount.minor else ""
        heading = f"**{escaped(amount)}** · " if amount else ""
        st.markdown(f"{heading}{escaped(charge.method)}")
        st.caption(escaped(" · ".join(_about(charge))))


def _when(charge: Charge) -> Sentence:
    if not charge.amount.minor:
        return sentence("Nothing is left to be charged.")
    return charge.progress.to_the_office(today())


def _about(charge: Charge) -> list[str]:
    words = [_("{reference}, due {day}", reference=charge.reference, day=day(charge.due_on))]
    if charge.ended_at is None:
        words.append(say(_when(charge)).rstrip("."))
    if charge.attempts:
        words.append(ngettext("tried once", "tried {count} times", charge.attempts))
    if charge.detail:
        words.append(say(charge.detail).rstrip("."))
    return words
