"""A customer's name, address and how they are reached, as a form."""

from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from pages.languages.words import Said, _, say
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import day, escaped
from pages.shared.permitted import submit_button
from pages.shared.session import may, now, services, zone
from services.accounts.contact import InvalidContact
from services.database.errors import IllegalChange
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.quantities.period import local_date
from services.records.messages import ContactDetails, PreferredChannel

_CHANNELS: Final[Mapping[PreferredChannel | None, str]] = Said(
    {
        None: N_("Every channel (SMS where no other can)"),
        "email": N_("E-mail"),
        "sms": "SMS",
        "whatsapp": "WhatsApp",
        "discord_customer": N_("Discord"),
    }
)


def show_contact(customer_id: str, principal: Principal) -> None:
    """The details as they stand, to be changed; bills keep the name that they were issued to."""
    name = f"contact-{customer_id}"
    form = form_id(name)
    # As they were when the form opened: what somebody else changes meanwhile is not overwritten.
    if f"seen-{form}" not in st.session_state:
        st.session_state[f"seen-{form}"] = services().contacts.details(
            customer_id=customer_id, principal=principal
        )
    seen: ContactDetails = st.session_state[f"seen-{form}"]
    _show_where_nothing_arrives(customer_id, seen, name, principal)
    with st.form(f"form-{form}", border=False):
        body = _ask(seen, form)
        st.caption(_("The PDFs of bills that were issued stay as they are."))
        if not submit_button(_("Save"), Permission.CHANGE_CUSTOMERS, type="primary"):
            return
    try:
        services().contacts.change(
            customer_id=customer_id, body=body, seen=seen, principal=principal, now=now()
        )
    except InvalidContact as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    except IllegalChange as error:
        st.error(escaped(say(error)), icon=":material/sync_problem:")
        st.button(_("Begin again with them"), on_click=lambda: _begin_again(name))
        return
    form_done(name, _("The details are changed."))
    st.rerun()


def _show_where_nothing_arrives(
    customer_id: str, seen: ContactDetails, name: str, principal: Principal
) -> None:
    """An address that mail came back from, and a number that stopped texts; and the way back."""
    if seen.sms_stopped_at is not None:
        since = day(local_date(seen.sms_stopped_at, zone()))
        st.info(
            _(
                "No texts go to {phone}: a STOP came from it on {day}. A START from "
                "that number lets them go again; nobody else can.",
                phone=escaped(seen.phone),
                day=since,
            ),
            icon=":material/speaker_notes_off:",
        )
    if seen.phone_unreached_at is not None:
        since = day(local_date(seen.phone_unreached_at, zone()))
        st.warning(
            _(
                "Texts to {phone} have not arrived since {day}: the network knows no such number, "
                "or it is no mobile phone. Ask the customer for another one.",
                phone=escaped(seen.phone),
                day=since,
            ),
            icon=":material/speaker_notes_off:",
        )
    if seen.email_bounced_at is None:
        return
    since = day(local_date(seen.email_bounced_at, zone()))
    st.warning(
        _(
            "No mail goes to {email}: it came back on {day}. Ask the customer, and "
            "change the address, or trust it again if it works by now.",
            email=escaped(seen.email),
            day=since,
        ),
        icon=":material/mark_email_unread:",
    )
    if may(Permission.CHANGE_CUSTOMERS) and st.button(
        _("Trust this address again"), icon=":material/mark_email_read:", key=f"trust-{customer_id}"
    ):
        services().messages.trust_email(customer_id=customer_id, principal=principal)
        form_done(name, _("Mail goes to the address again."))
        st.rerun()


def _begin_again(name: str) -> None:
    st.session_state.pop(f"form-{name}", None)


def _ask(seen: ContactDetails, form: str) -> dict[str, Any]:
    body: dict[str, Any] = {}
    with st.grid(2, min_column_width=220) as grid:
        with grid.cell():
            body["name"] = st.text_input(_("Name"), seen.name, key=f"name-{form}")
        with grid.cell():
            body["phone"] = st.text_input(
                _("Phone"), seen.phone, placeholder="+91 98470 12345", key=f"phone-{form}"
            )
        with grid.cell():
            body["email"] = st.text_input(_("E-mail"), seen.email, key=f"email-{form}")
        with grid.cell():
            body["language"] = st.text_input(
                _("Language of messages and bills"),
                seen.language,
                help=_("A language tag such as en, hi, ml or th."),
                key=f"language-{form}",
            )
        with grid.cell():
            body["tax_number"] = st.text_input(
                _("Tax number"),
                seen.tax_number,
                help=_("A VAT number, GSTIN or the like, which their bills then show."),
                key=f"tax-number-{form}",
            )
    body["address"] = st.text_input(_("Address"), seen.address, key=f"address-{form}")
    agreed = seen.whatsapp_since
    body["whatsapp"] = st.checkbox(
        _("Agreed to messages by WhatsApp (since {day})", day=local_date(agreed, zone()))
        if agreed
        else _("Agreed to messages by WhatsApp"),
        value=seen.whatsapp_since is not None,
        key=f"whatsapp-{form}",
    )
    body |= _ask_wishes(seen, form)
    body["discord_webhook"] = st.text_input(
        _("Discord webhook"),
        type="password",
        autocomplete="off",
        placeholder=_("There is one; it is not shown") if seen.has_discord else _("None"),
        key=f"discord-{form}",
    )
    if seen.has_discord:
        body["no_discord"] = st.checkbox(_("Send nothing by Discord any more"), key=f"none-{form}")
    return body


def _ask_wishes(seen: ContactDetails, form: str) -> dict[str, Any]:
    """The preferred channel, the quiet hours, and whether they want messages at all."""
    body: dict[str, Any] = {}
    with st.grid(2, min_column_width=220) as grid:
        with grid.cell():
            body["preferred"] = st.selectbox(
                _("Messages by"),
                list(_CHANNELS),
                index=list(_CHANNELS).index(seen.preferred),
                format_func=lambda channel: _CHANNELS[channel],
                help=_("The others are used where this one cannot deliver."),
                key=f"preferred-{form}",
            )
        with grid.cell(), st.grid(2, min_column_width=100) as hours:
            with hours.cell():
                body["quiet_from"] = st.time_input(
                    _("Quiet from"), seen.quiet_from, key=f"quiet-from-{form}"
                )
            with hours.cell():
                body["quiet_until"] = st.time_input(
                    _("Quiet until"), seen.quiet_until, key=f"quiet-until-{form}"
                )
    # A time that is set cannot be emptied.
    if seen.quiet_from is not None and st.checkbox(_("No quiet hours"), key=f"no-quiet-{form}"):
        body |= {"quiet_from": None, "quiet_until": None}
    body["opted_out"] = st.checkbox(
        _("Wants no messages"), value=seen.opted_out, key=f"opted-out-{form}"
    )
    return body
