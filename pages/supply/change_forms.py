"""The forms of changes at a place: moves, meters, multipliers, tariffs, disconnecting."""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st

from pages.languages.words import Said, _
from pages.shared.form_ids import form_id
from pages.shared.format import escaped, kwh, times
from pages.shared.header import show_header
from pages.shared.number_field import number_field
from pages.shared.session import services
from pages.supply.ask import ask_day, ask_kind, ask_read, ask_registers_of
from pages.supply.confirm import look_at, show_and_ask
from pages.supply.deposit_field import ask_deposit
from pages.supply.disconnect_forms import (
    ask_disconnect,
    ask_not_disconnected,
    ask_not_reconnected,
    ask_reconnect,
)
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.records.search import FoundCustomer
from services.records.supply import Place
from services.supply.changes import (
    Change,
    Exchange,
    MoveIn,
    MoveOut,
    OtherMultiplier,
    OtherTariff,
    Stay,
    TypedRead,
)

Form = Callable[[Place, str, Principal], Change | None]


def show_change(service_point_id: str, what: str, principal: Principal) -> None:
    """The form of one change, what it would do, and doing it."""
    place = services().supply.place(service_point_id=service_point_id, principal=principal)
    title, said, ask = _FORMS[what if what in _FORMS else "move-out"]
    show_header(title)
    st.markdown(_where(place))
    name = f"{what}-{service_point_id}"
    form = form_id(name)
    change = ask(place, form, principal)
    if change is not None:
        look_at(change, form, principal)
    show_and_ask(name, form, said, principal)


def _where(place: Place) -> str:
    said = [f"**{escaped(place.point.code)}**", escaped(place.point.address)]
    if place.agreement:
        said.append(escaped(place.agreement.customer_name))
    if place.meter:
        said.append(_("meter {serial}", serial=escaped(place.meter.serial)))
    if last := place.last_read:
        said.append(_("last read {kwh} on {day}", kwh=kwh(last.register_wh), day=last.read_on))
    return " · ".join(filter(None, said))


def _ask_move_out(place: Place, form: str, _principal: Principal) -> Change | None:
    with st.form(f"ask-{form}"):
        on = ask_day(_("Last day was the day before"), form)
        read = ask_read(_("Final reading (kWh)"), form, place)
        deposit = st.checkbox(
            _("Let a deposit pay what is open"), value=True, key=f"deposit-{form}"
        )
        if not st.form_submit_button(_("Show what it does"), type="primary"):
            return None
    return MoveOut(place.point.id, on, read, use_deposit=deposit)


def _ask_move_in(place: Place, form: str, principal: Principal) -> Change | None:
    is_new = st.toggle(_("A new customer"), key=f"new-{form}")
    found: tuple[FoundCustomer, ...] = ()
    if not is_new:
        text = st.text_input(
            _("Who moves in"), key=f"who-{form}", placeholder=_("Name, account number or phone")
        )
        found = services().search.find(text, principal=principal).customers if text else ()
        if text and not found:
            st.caption(_("No customer fits. Somebody who has no account yet is a new customer."))
    tariffs = services().tariff_publishing.tariffs(principal=principal)
    with st.form(f"ask-{form}"):
        account_no = name = phone = email = ""
        customer = None
        if is_new:
            account_no = st.text_input(_("Account number"), key=f"account-{form}")
            name = st.text_input(_("Name"), key=f"name-{form}")
            phone = st.text_input(_("Phone"), key=f"phone-{form}")
            email = st.text_input(_("E-mail"), key=f"email-{form}")
        else:
            customer = st.selectbox(
                _("Customer"),
                found,
                index=0 if found else None,
                format_func=lambda one: f"{one.name} · {one.account_no}",
                # What was chosen of another search is not among these.
                key=f"customer-{form}-{','.join(one.id for one in found)}",
            )
        tariff = st.selectbox(
            _("Tariff"),
            tariffs,
            index=0 if tariffs else None,
            format_func=lambda one: f"{one.name} ({one.code})",
            key=f"t-{form}",
        )
        on = ask_day(_("From"), form)
        read = ask_read(_("Reading on that day (kWh)"), form, place)
        deposit = ask_deposit(form)
        if not st.form_submit_button(_("Show what it does"), type="primary"):
            return None
    if tariff is None or (customer is None and not is_new):
        st.error(_("Choose the customer and the tariff."), icon=":material/edit:")
        return None
    return MoveIn(
        place.point.id,
        customer.id if customer else "",
        on,
        read,
        tariff.code,
        account_no=account_no,
        name=name,
        phone=phone,
        email=email,
        deposit=deposit,
    )


def _ask_stay(place: Place, form: str, _principal: Principal) -> Change | None:
    if f"shown-{form}" in st.session_state:
        return None
    return Stay(place.point.id)


def _ask_exchange(place: Place, form: str, _principal: Principal) -> Change | None:
    with st.form(f"ask-{form}"):
        on = ask_day(_("Day of the exchange"), form)
        last = ask_read(_("Last reading of the old meter (kWh)"), form, place)
        rolled_over = st.checkbox(_("The old register rolled over before it"), key=f"rolled-{form}")
        serial = st.text_input(
            _("Serial of the new meter"), key=f"serial-{form}", autocomplete="off"
        )
        first = number_field(_("First reading of the new meter (kWh)"), key=f"first-{form}")
        # The new one counts what the old one did.
        registers = ask_registers_of(place, f"first-{form}")
        with st.grid(3, min_column_width=150) as grid:
            with grid.cell():
                dials = st.number_input(_("Digits"), 1, 9, 5, key=f"dials-{form}")
            with grid.cell():
                multiplier = number_field(_("Multiplier"), key=f"multiplier-{form}", value="1")
            with grid.cell():
                kind = ask_kind(form)
        if not st.form_submit_button(_("Show what it does"), type="primary"):
            return None
    return Exchange(
        place.point.id,
        on,
        replace(last, rolled_over=rolled_over),
        serial,
        TypedRead(first, registers),
        kind=kind,
        dials=int(dials),
        multiplier=multiplier,
    )


def _ask_multiplier(place: Place, form: str, _principal: Principal) -> Change | None:
    if place.meter:
        st.caption(_("It is {multiplier} now.", multiplier=times(place.meter.multiplier_milli)))
    with st.form(f"ask-{form}"):
        multiplier = number_field(_("Right multiplier"), key=f"multiplier-{form}")
        on = ask_day(_("Since"), form)
        read = ask_read(_("Reading on that day (kWh)"), form, place)
        if not st.form_submit_button(_("Show what it does"), type="primary"):
            return None
    return OtherMultiplier(place.point.id, on, read, multiplier)


def _ask_tariff(place: Place, form: str, principal: Principal) -> Change | None:
    tariffs = services().tariff_publishing.tariffs(principal=principal)
    currency = place.agreement.currency if place.agreement else None
    fitting = [one for one in tariffs if currency in (None, one.currency)]
    if not fitting:
        st.info(_("There is no tariff in the currency of this account."))
        return None
    with st.form(f"ask-{form}"):
        # First: the calendar that a typed date opens must not lie over the button.
        on = ask_day(_("From"), form)
        chosen = st.selectbox(
            _("Tariff"),
            fitting,
            format_func=lambda one: f"{one.name} ({one.code})",
            key=f"t-{form}",
        )
        if not st.form_submit_button(_("Show what it does"), type="primary"):
            return None
    return OtherTariff(place.point.id, on, chosen.code)


_FORMS: Said[str, tuple[str, str, Form]] = Said(
    {
        "move-out": (
            N_("Move out"),
            N_("They have moved out; the final bill is made."),
            _ask_move_out,
        ),
        "move-in": (N_("Move in"), N_("They have moved in."), _ask_move_in),
        "stay": (N_("They did not move out"), N_("The agreement goes on."), _ask_stay),
        "exchange": (N_("Exchange the meter"), N_("The meter is exchanged."), _ask_exchange),
        "multiplier": (
            N_("Change the multiplier"),
            N_("The multiplier is changed."),
            _ask_multiplier,
        ),
        "disconnect": (N_("Disconnect"), N_("They are disconnected."), ask_disconnect),
        "reconnect": (N_("Reconnect"), N_("They are reconnected."), ask_reconnect),
        "not-disconnected": (
            N_("They were not disconnected"),
            N_("The disconnection is taken back."),
            ask_not_disconnected,
        ),
        "not-reconnected": (
            N_("They were not reconnected"),
            N_("The reconnection is taken back."),
            ask_not_reconnected,
        ),
        "tariff": (N_("Change the tariff"), N_("The tariff is changed."), _ask_tariff),
    }
)
