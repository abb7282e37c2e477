"""The form that connects a customer."""

import streamlit as st

from pages.languages.words import _
from pages.shared.form_ids import form_id
from pages.shared.number_field import number_field
from pages.shared.session import services, today
from pages.supply.ask import ask_kind
from pages.supply.confirm import look_at, show_and_ask
from pages.supply.deposit_field import ask_deposit
from services.identity.auth import Principal
from services.supply.changes import Connect, TypedRead

_NAME = "connect"


def show_connect(principal: Principal) -> None:
    """Ask for all of it at once, show what it does, do it."""
    form = form_id(_NAME)
    tariffs = services().tariff_publishing.tariffs(principal=principal)
    with st.form(f"ask-{form}"):
        change = _ask(form, [(one.code, one.name) for one in tariffs])
        asked = st.form_submit_button(_("Show what it does"), type="primary")
    if asked:
        look_at(change, form, principal)
    show_and_ask(_NAME, form, _("The customer is connected."), principal)


def _ask(form: str, tariffs: list[tuple[str, str]]) -> Connect:
    with st.grid(2, min_column_width=260) as grid:
        with grid.cell():
            st.markdown(_("**Customer**"))
            known = st.checkbox(_("The account is known already"), key=f"known-{form}")
            account_no = st.text_input(_("Account number"), key=f"account-{form}")
            name = st.text_input(_("Name"), key=f"name-{form}")
            phone = st.text_input(_("Phone"), key=f"phone-{form}")
            email = st.text_input(_("E-mail"), key=f"email-{form}")
            address = st.text_input(_("Address of the place"), key=f"address-{form}")
            note = st.text_input(
                _("Access"), key=f"note-{form}", placeholder=_("The key is at the shop")
            )
        with grid.cell():
            st.markdown(_("**Meter**"))
            serial = st.text_input(_("Serial"), key=f"serial-{form}", autocomplete="off")
            read = number_field(_("Opening reading (kWh)"), key=f"read-{form}")
            on = st.date_input(
                _("Connected on"), today(), max_value=today(), key=f"on-{form}", format="DD/MM/YYYY"
            )
            tariff = st.selectbox(
                _("Tariff"),
                tariffs,
                index=0 if tariffs else None,
                format_func=lambda one: f"{one[1]} ({one[0]})",
                key=f"t-{form}",
            )
            dials = st.number_input(_("Digits"), 1, 9, 5, key=f"dials-{form}")
            multiplier = number_field(_("Multiplier"), key=f"multiplier-{form}", value="1")
            kind = ask_kind(form)
    deposit = ask_deposit(form)
    return Connect(
        on=on,
        account_no=account_no,
        name=name,
        address=address,
        serial=serial,
        tariff_code=tariff[0] if tariff else "",
        read=TypedRead(read),
        phone=phone,
        email=email,
        kind=kind,
        dials=int(dials),
        multiplier=multiplier,
        access_note=note,
        known=known,
        deposit=deposit,
    )
