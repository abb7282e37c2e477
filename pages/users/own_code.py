"""Setting up an authenticator app: a QR code, a code to confirm it, ten recovery codes."""

from collections.abc import Sequence
from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.shared.form_ids import form_done
from pages.shared.format import count, escaped, moment
from pages.shared.session import now, services, zone
from pages.users.own_password import REFUSALS, ask_password
from services.bill_documents.qr import qr_png
from services.identity.auth import Principal
from services.people.own_account import CodeSetup, OwnAccount, WrongCode
from services.records.sessions import User

_SETUP: Final = "code-setup"
_CODES: Final = "new-recovery-codes"


def show_code(account: OwnAccount, user: User, principal: Principal) -> None:
    """Whether a code is asked for, and turning that on or off."""
    st.subheader(_("Authenticator app"), anchor=False)
    if codes := st.session_state.pop(_CODES, None):
        _show_codes(codes)
        return
    setup = st.session_state.get(_SETUP)
    if isinstance(setup, CodeSetup):
        _confirm(setup, account, principal)
    elif user.totp_on_at:
        st.caption(
            _(
                "On since {totp_on_at}. {counted} left.",
                totp_on_at=moment(user.totp_on_at, zone()),
                counted=count(user.recovery_codes_left, "recovery code"),
            )
        )
        _turn_off(account, principal)
        _begin(account, principal, _("Set up another app, with new recovery codes"))
    else:
        st.caption(
            _(
                "Off. With it, signing in also asks for a code that an app on your phone "
                "shows: your password alone is then of no use to others."
            )
        )
        _begin(account, principal, _("Set it up"))


def _begin(account: OwnAccount, principal: Principal, label: str) -> None:
    with st.expander(label), st.form("begin-code", border=False, clear_on_submit=True):
        password = ask_password(_("Your password"), "code-password")
        if not st.form_submit_button(_("Go on"), type="primary"):
            return
        try:
            setup = account.begin_code(
                password=password,
                issuer=services().settings.utility_name,
                principal=principal,
                now=now(),
            )
        except REFUSALS as error:
            st.error(escaped(say(error)))
            return
    st.session_state[_SETUP] = setup
    st.rerun()


def _show_codes(codes: Sequence[str]) -> None:
    st.success(
        _(
            "It is on. Keep these recovery codes where you find them without your phone: each "
            "signs you in once instead of a code, and they are shown this once."
        ),
        icon=":material/check_circle:",
    )
    st.code("\n".join(codes), language=None)
    with st.container(horizontal=True):
        st.download_button(
            _("Download them"),
            "\n".join(codes) + "\n",
            file_name="recovery-codes.txt",
            mime="text/plain",
            icon=":material/download:",
            on_click="ignore",
        )
        st.button(_("I have kept them"), key="kept-codes", type="primary")


def _confirm(setup: CodeSetup, account: OwnAccount, principal: Principal) -> None:
    st.markdown(_("Scan this with your authenticator app, then type the code that it shows."))
    st.image(qr_png(setup.address), width=220)
    with st.expander(_("Without a camera")):
        st.markdown(_("Type this key into the app:"))
        st.code(setup.secret, language=None, wrap_lines=True)
    with st.form("confirm-code", border=False):
        code = st.text_input(_("Code"), key="own-code", autocomplete="one-time-code", max_chars=10)
        confirmed = st.form_submit_button(_("Turn it on"), type="primary")
    if st.button(_("Not now"), key="no-code"):
        st.session_state.pop(_SETUP, None)
        st.rerun()
    if not confirmed:
        return
    try:
        codes = account.confirm_code(setup, code, principal=principal, now=now())
    except WrongCode as error:
        st.error(escaped(say(error)))
        return
    st.session_state.pop(_SETUP, None)
    # In the place of what was asked for, and no longer in the session than until they are drawn.
    st.session_state[_CODES] = codes
    st.rerun()


def _turn_off(account: OwnAccount, principal: Principal) -> None:
    with (
        st.expander(_("Turn it off")),
        st.form("turn-code-off", border=False, clear_on_submit=True),
    ):
        password = ask_password(_("Your password"), "off-password")
        if not st.form_submit_button(_("Turn it off"), type="primary"):
            return
        try:
            account.remove_code(password=password, principal=principal, now=now())
        except REFUSALS as error:
            st.error(escaped(say(error)))
            return
    form_done("", _("No code is asked for any more."))
    st.rerun()
