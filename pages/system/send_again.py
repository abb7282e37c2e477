"""Sending a message once more, by hand, on a channel that somebody chooses."""

from typing import Final

import streamlit as st

from pages.shared.form_ids import form_done, form_id
from pages.shared.format import escaped
from pages.shared.session import may, services
from services.database.errors import IllegalChange
from services.history import terms
from services.identity.auth import Principal
from services.identity.permissions import Permission

_OWN: Final = ("email", "sms", "whatsapp", "discord_customer")


def offer_to_send_again(work_id: str, key: str, principal: Principal) -> None:
    """A button that asks on which channel, and whether to; to who may send messages."""
    if not may(Permission.SEND_MESSAGES):
        return
    name = f"again-{work_id}-{key}"
    form = form_id(name)
    with (
        st.popover("Send again", icon=":material/forward_to_inbox:", key=f"again-{key}"),
        st.form(f"form-{form}", border=False),
    ):
        channel = st.selectbox(
            "By", _OWN, format_func=terms.CHANNELS.__getitem__, key=f"again-by-{form}"
        )
        st.caption("The customer gets it once more, outside their quiet hours.")
        if not st.form_submit_button("Yes, send it", type="primary"):
            return
    try:
        services().messages.send_again(
            work_id=work_id,
            form_id=form,
            channel=channel,
            label=terms.CHANNELS[channel],
            principal=principal,
        )
    except IllegalChange as error:
        st.error(escaped(error), icon=":material/sync_problem:")
        return
    form_done(name, "The message is sent within a minute.")
    st.rerun()
