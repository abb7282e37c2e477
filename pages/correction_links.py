"""How bills that were corrected lead to each other: which took whose place, why, who did it."""

import streamlit as st

from pages.correction_preview import more_or_less
from pages.shell import services, zone
from pages.words import moment, money, period, plain
from services.domain.meter_book import CorrectedBill, Correction, name_of


def link_to_bill(bill_id: str, label: str) -> None:
    """A link to a bill's page."""
    st.page_link(
        "bill.py", label=label, icon=":material/receipt_long:", query_params={"id": bill_id}
    )


def show_corrections(bill_id: str) -> None:
    """The corrections that this bill was made or voided by."""
    for correction in services().database.corrections_of_bill(bill_id):
        _show(correction, bill_id)


def _show(correction: Correction, bill_id: str) -> None:
    with st.container(border=True, gap="xsmall"):
        st.markdown("**Correction**")
        st.caption(
            f"{plain(correction.created_by)}, {moment(correction.created_at, zone())}: "
            f"{plain(correction.reason)}"
        )
        difference = more_or_less(correction.difference_minor, correction.currency)
        st.markdown(f"The customer owes **{plain(difference)}**.")
        for one in correction.bills:
            _show_pair(one, correction, here=bill_id)
        if correction.warned:
            st.caption(f":material/history: {plain(correction.warned)}")


def _show_pair(one: CorrectedBill, correction: Correction, *, here: str) -> None:
    st.caption(period(one.period_start, one.period_end))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _bill(one.void_bill_id, one.void_number, one.void_total_minor, correction, here)
        st.markdown("→", width="content")
        if one.new_bill_id is None:
            st.markdown("nothing", width="content")
            return
        _bill(one.new_bill_id, one.new_number, one.new_total_minor or 0, correction, here)


def _bill(bill_id: str, number: int | None, minor: int, correction: Correction, here: str) -> None:
    label = f"{name_of(number)}, {money(minor, correction.currency)}"
    if bill_id == here:
        st.markdown(f"**{plain(label)}**", width="content")
    else:
        st.page_link("bill.py", label=plain(label), query_params={"id": bill_id}, width="content")
