"""How bills that were corrected lead to each other: which took whose place, why, who did it."""

from collections.abc import Sequence

import streamlit as st

from pages.corrections.correction_preview import more_or_less
from pages.languages.words import _, say
from pages.registry import BILL
from pages.shared.format import escaped, moment, money, period
from pages.shared.permitted import page_link
from pages.shared.session import called, zone
from services.records.bills import Bill
from services.records.corrections import CorrectedBill, Correction, name_of


def link_to_bill(bill_id: str, label: str) -> None:
    """A link to a bill's page."""
    page_link(BILL, label=label, icon=":material/receipt_long:", query_params={"id": bill_id})


def show_corrections(bill: Bill, corrections: Sequence[Correction]) -> None:
    """The corrections that this bill was made or voided by, and the bills to both sides of it."""
    for correction in corrections:
        _show(correction, bill.id)
    if not corrections:
        # Voided and billed again in two steps.
        if bill.replaces_id:
            link_to_bill(bill.replaces_id, _("The void bill before it"))
        if bill.replaced_by_id:
            link_to_bill(bill.replaced_by_id, _("The bill that took its place"))


def _show(correction: Correction, bill_id: str) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown(_("**Correction**"))
        st.caption(
            f"{escaped(called(correction.created_by))}, {moment(correction.created_at, zone())}: "
            f"{escaped(correction.reason)}"
        )
        difference = more_or_less(correction.difference_minor, correction.currency)
        st.markdown(_("The customer owes **{difference}**.", difference=escaped(difference)))
        for one in correction.bills:
            _show_pair(one, correction, here=bill_id)
        if correction.warned:
            st.caption(f":material/history: {escaped(say(correction.warned))}")


def _show_pair(one: CorrectedBill, correction: Correction, *, here: str) -> None:
    st.caption(period(one.period_start, one.period_end))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _bill(one.void_bill_id, one.void_number, one.void_total_minor, correction, here)
        st.markdown("→", width="content")
        if one.new_bill_id is None:
            st.markdown(_("nothing"), width="content")
            return
        _bill(one.new_bill_id, one.new_number, one.new_total_minor or 0, correction, here)


def _bill(bill_id: str, number: int | None, minor: int, correction: Correction, here: str) -> None:
    label = f"{say(name_of(number))}, {money(minor, correction.currency)}"
    if bill_id == here:
        st.markdown(f"**{escaped(label)}**", width="content")
    else:
        page_link(BILL, label=escaped(label), query_params={"id": bill_id}, width="content")
