"""The deposit of somebody who is connected or moves in, as fields of a form."""

import streamlit as st

from pages.languages.words import _
from pages.shared.money_format import OFFICE_METHODS
from pages.shared.number_field import number_field
from services.supply.changes import Deposit


def ask_deposit(form: str) -> Deposit:
    """How much, and how it was paid; empty where none is taken."""
    with st.grid(3, min_column_width=150) as grid:
        with grid.cell():
            amount = number_field(_("Deposit"), key=f"deposit-{form}", placeholder=_("none"))
        with grid.cell():
            method = st.selectbox(
                _("Paid by"),
                list(OFFICE_METHODS),
                format_func=OFFICE_METHODS.__getitem__,
                key=f"deposit-by-{form}",
            )
        with grid.cell():
            reference = st.text_input(_("Reference"), key=f"deposit-reference-{form}")
    return Deposit(amount, method, reference)
