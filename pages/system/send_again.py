"""Sending a message once more, by hand, on a channel that somebody chooses, or as a letter."""

from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import escaped
from pages.shared.session import may, now, services
from services.database.errors import IllegalChange
from services.history import terms
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.messages.account_texts.statements import ACCOUNT_STATEMENT
from services.messages.letters import CHANNEL, NothingToPrint

_OWN: Final = ("email", "sms", "whatsapp", "discord_customer", CHANNEL)


def offer_to_send_again(work_id: str, key: str, kind: str, principal: Principal) -> None:
    """A button that asks on which channel, and whether to; to who may send messages."""
    if not may(Permission.SEND_MESSAGES):
        return
    name = f"again-{work_id}-{key}"
    form = form_id(name)
    with (
        st.popover(_("Send again"), icon=":material/forward_to_inbox:", key=f"again-{key}"),
        st.form(f"form-{form}", border=False),
    ):
        channel = st.selectbox(
            _("By"),
            _OWN[:1] if kind == ACCOUNT_STATEMENT else _OWN,
            format_func=lambda one: _(terms.CHANNELS[one]),
            key=f"again-by-{form}",
        )
        st.caption(
            _(
                "The customer gets it once more, outside their quiet hours. A letter is printed "
                "once: its PDF stands among the messages, and on the page Letters."
            )
        )
        if not st.form_submit_button(_("Yes, send it"), type="primary"):
            return
    if channel == CHANNEL:
        _print(work_id, name, form, principal)
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
        st.error(escaped(say(error)), icon=":material/sync_problem:")
        return
    form_done(name, _("The message is sent within a minute."))
    st.rerun()


def _print(work_id: str, name: str, form: str, principal: Principal) -> None:
    try:
        services().letters.print_one(work_id=work_id, batch_id=form, principal=principal, now=now())
    except NothingToPrint as error:
        st.error(escaped(say(error)), icon=":material/print_disabled:")
        return
    form_done(name, _("The letter is printed: download it among the messages."))
    st.rerun()
