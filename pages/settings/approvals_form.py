"""Four eyes: what a second person must approve, and from which amount a refund needs a manager."""

from collections.abc import Mapping
from typing import Final

import streamlit as st

from pages.languages.words import Said, _
from pages.settings.settings_form import may_change, opened, save
from pages.shared.number_field import number_field
from pages.shared.permitted import submit_button
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.quantities.money import Money
from services.utility_settings.model import FOUR_EYES, FourEyes

_WORDS: Final[Mapping[FourEyes, str]] = Said(
    {
        "refunds": N_("Refunds, and credit that is paid out"),
        "voids": N_(
            "Voiding and correcting bills, credits (write-offs), fees taken back, "
            "changes of supply that lower issued bills"
        ),
        "tariffs": N_("Publishing tariffs"),
    }
)


def ask_approvals(principal: Principal) -> None:
    """Which kinds need a second person, and the limit of refunds in each currency in use."""
    form, shown = opened("settings-approvals", principal)
    held = shown.held
    with st.container(border=True), st.form(f"form-{form}", border=False):
        st.markdown(_("**Four eyes**"))
        st.caption(_("What one person asks for waits on *Approvals* until another approves it."))
        chosen = [
            kind
            for kind in FOUR_EYES
            if st.checkbox(
                _WORDS[kind],
                kind in held.four_eyes,
                disabled=not may_change(),
                key=f"eyes-{kind}-{form}",
            )
        ]
        limits = {
            currency: number_field(
                _("Refunds above this need a manager ({currency})", currency=currency),
                key=f"refund-limit-{currency}-{form}",
                value=Money(minor, currency).text if minor else "",
                placeholder=_("No limit"),
                disabled=not may_change(),
            )
            for currency in sorted({held.currency, *held.refund_limits})
            for minor in (held.refund_limits.get(currency, 0),)
        }
        st.caption(_("What went back to the same customer in the last 30 days counts too."))
        if submit_button(_("Save"), Permission.CHANGE_SETTINGS, type="primary"):
            body = {"four_eyes": chosen, "refund_limits": limits}
            save("settings-approvals", form, body, shown, principal)
