"""Accounts: the codes of the utility's own bookkeeping, to which the journal goes."""

from typing import Final

import streamlit as st

from pages.languages.words import _
from pages.settings.settings_form import may_change, opened, save
from pages.shared.permitted import submit_button
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.reports.account_codes import ACCOUNT_NAMES, DEFAULT_CODES

_RATE: Final = "tax."


def ask_accounts(principal: Principal) -> None:
    """A code for each account, and for rates of tax that have one of their own."""
    form, shown = opened("settings-accounts", principal)
    held = {**DEFAULT_CODES, **shown.held.account_codes}
    rates = "\n".join(
        f"{key.removeprefix(_RATE)} = {code}" for key, code in held.items() if key.startswith(_RATE)
    )
    with st.container(border=True):
        st.markdown(_("**Accounts of the journal**"))
        st.caption(
            _(
                "Those of your bookkeeping. They hold for every month that is not closed; the "
                "journal of a closed month keeps those that held when it was closed."
            )
        )
        with st.form(f"form-{form}", border=False):
            with st.grid(3, min_column_width=240) as grid:
                typed = {}
                for key in DEFAULT_CODES:
                    with grid.cell():
                        typed[key] = st.text_input(
                            _(ACCOUNT_NAMES[key]),
                            held[key],
                            max_chars=20,
                            key=f"{key}-{form}",
                            disabled=not may_change(),
                        )
            own = st.text_area(
                _("Rates of tax with an account of their own"),
                rates,
                placeholder="18 = 2118",
                help=_("One a line: the rate as tariffs have it, and the account."),
                key=f"rates-{form}",
                disabled=not may_change(),
            )
            if submit_button(_("Save"), Permission.CHANGE_SETTINGS, type="primary"):
                codes = typed | _rates(own)
                save("settings-accounts", form, {"account_codes": codes}, shown, principal)


def _rates(text: str) -> dict[str, str]:
    lines = (line.partition("=") for line in text.splitlines() if line.strip())
    return {f"{_RATE}{rate.strip().removesuffix('%').strip()}": code for rate, _, code in lines}
