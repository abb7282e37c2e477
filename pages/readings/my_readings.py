"""My readings: what the signed-in person submitted, newest first, each with its bill."""

import streamlit as st

from pages.languages.words import _, say
from pages.registry import BILL, SUBMIT_READING
from pages.shared.components import chosen_page, page_number, status_badge
from pages.shared.format import READING_STATUS, escaped, kwh, moment, money
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import require_permission, services, zone
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.readings import Reading

PAGE_SIZE = 10


def show_reading(reading: Reading) -> None:
    """One reading as a row: what and where at the left, how it stands at the right."""
    with (
        st.container(border=True),
        st.container(horizontal=True, wrap=False, vertical_alignment="center"),
    ):
        with st.container(gap=None):
            st.markdown(f"**{kwh(reading.register_wh)}** · {escaped(reading.meter_serial)}")
            st.caption(
                _(
                    "{supplied}  \nread {read_at}",
                    supplied=escaped(reading.supplied),
                    read_at=moment(reading.read_at, zone()),
                )
            )
            if reading.decision_reason:
                st.caption(
                    _(
                        "Office: {decision_reason}",
                        decision_reason=escaped(say(reading.decision_reason)),
                    )
                )
        with st.container(width="content", gap="xsmall", horizontal_alignment="right"):
            status_badge(reading.status, READING_STATUS)
            if reading.bill_id and reading.bill_total_minor is not None:
                total = money(reading.bill_total_minor, str(reading.bill_currency))
                page_link(
                    BILL,
                    label=_("Bill {total}", total=escaped(total)),
                    icon=":material/receipt_long:",
                    query_params={"id": reading.bill_id},
                )


def show_list(principal: Principal) -> None:
    """A page of the list; the database counts and cuts it."""
    found = services().readings.of_principal(
        principal=principal, page=chosen_page("my-page"), page_size=PAGE_SIZE
    )
    if not found.total:
        st.info(_("You have not submitted a reading yet."))
        page_link(SUBMIT_READING, label=_("Submit a reading"), icon=":material/speed:")
    with st.container(gap="xsmall"):
        for reading in found.items:
            show_reading(reading)
    page_number(total=found.total, page_size=PAGE_SIZE, key="my-page")


principal = require_permission(Permission.SUBMIT_READINGS)
show_header(_("My readings"))
show_list(principal)
