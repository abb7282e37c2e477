"""Fees: the amounts that the office charges by default, by currency."""

import streamlit as st

from pages.languages.words import _, language
from pages.settings.settings_form import may_change, opened, save
from pages.shared.money_format import FEE_NAMES
from pages.shared.number_field import number_field
from pages.shared.permitted import submit_button
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.quantities.money import Money
from services.utility_settings.choices import currencies, currency_in_words
from services.utility_settings.model import FEE_KINDS


def ask_fees(principal: Principal) -> None:
    """The fees of one currency; an empty field is no fee."""
    form, shown = opened("settings-fees", principal)
    with st.container(border=True):
        st.markdown(_("**Fees**"))
        st.caption(
            _("Nothing is charged by itself: whoever charges a fee may choose one of these.")
        )
        known = sorted({*currencies(), shown.held.currency, *shown.held.fees})
        currency = st.selectbox(
            _("Currency"),
            known,
            index=known.index(shown.held.currency),
            format_func=lambda code: currency_in_words(code, language().locale),
            key=f"fee-currency-{form}",
        )
        held = shown.held.fees.get(currency, {})
        typed: dict[str, str] = {}
        with st.form(f"form-{form}-{currency}", border=False):
            with st.grid(3, min_column_width=200) as grid:
                for kind in FEE_KINDS:
                    with grid.cell():
                        typed[kind] = number_field(
                            f"{FEE_NAMES[kind]} ({currency})",
                            key=f"fee-{kind}-{currency}-{form}",
                            value=Money(held[kind], currency).text if kind in held else "",
                            disabled=not may_change(),
                        )
            if submit_button(_("Save"), Permission.CHANGE_SETTINGS, type="primary"):
                save("settings-fees", form, {"fees": {currency: typed}}, shown, principal)
