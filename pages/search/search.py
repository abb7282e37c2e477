"""What the search finds: customers, meters, places, bills, credit notes, payments, each a link."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import streamlit as st

from pages.languages.words import _
from pages.registry import (
    BILL,
    CREDIT_NOTES,
    CUSTOMER,
    METER,
    PAYMENT,
    SEARCH,
    SERVICE_POINT,
)
from pages.shared.components import status_badge
from pages.shared.format import BILL_STATUS, day, escaped, money, period
from pages.shared.header import show_header
from pages.shared.money_format import METHOD_NAME
from pages.shared.permitted import page_link
from pages.shared.session import require_permission, services
from services.identity.permissions import Permission
from services.records.bills import invoice_reference
from services.records.search import (
    FoundBill,
    FoundCreditNote,
    FoundCustomer,
    FoundMeter,
    FoundPayment,
    FoundPoint,
)

FoundOne = TypeVar("FoundOne")


def show_group(title: str, found: Sequence[FoundOne], show: Callable[[FoundOne], None]) -> None:
    """One kind of what was found, under its name; nothing where there is none."""
    if not found:
        return
    st.subheader(title, anchor=False)
    with st.container(border=True, gap="small"):
        for one in found:
            with st.container(gap="xxsmall"):
                show(one)


def show_customer(customer: FoundCustomer) -> None:
    """A customer, by whose page everything of theirs is reached."""
    page_link(
        CUSTOMER,
        label=f"**{escaped(customer.name)}**",
        icon=":material/person:",
        query_params={"id": customer.id},
    )
    account = _("Account {account_no}", account_no=customer.account_no)
    known = (account, customer.address, customer.phone)
    st.caption(escaped(" · ".join(filter(None, known))))


def show_meter(meter: FoundMeter) -> None:
    """A meter, where it is and who is supplied by it."""
    page_link(
        METER,
        label=f"**{escaped(meter.serial)}**",
        icon=":material/speed:",
        query_params={"id": meter.id},
    )
    known = (meter.customer_name, _where(meter), meter.address)
    st.caption(escaped(" · ".join(filter(None, known))))


def _where(meter: FoundMeter) -> str:
    if meter.account_no:
        return _("account {account_no}", account_no=meter.account_no)
    if meter.removed_on is None:
        return _("vacant")
    return _(
        "removed from {place} on {day}", place=meter.service_point_code, day=day(meter.removed_on)
    )


def show_point(point: FoundPoint) -> None:
    """A place of supply, which stays whoever is supplied there."""
    page_link(
        SERVICE_POINT,
        label=f"**{escaped(point.code)}**",
        icon=":material/location_on:",
        query_params={"id": point.id},
    )
    serial = point.meter_serial
    meter = _("meter {meter_serial}", meter_serial=serial) if serial else _("no meter")
    known = (point.address, point.customer_name or _("vacant"), meter)
    st.caption(escaped(" · ".join(filter(None, known))))


def show_bill(bill: FoundBill) -> None:
    """A bill with what it comes to and how it stands."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        page_link(
            BILL,
            label=f"**{bill.reference}**",
            icon=":material/receipt_long:",
            query_params={"id": bill.id},
            width="content",
        )
        status_badge(bill.status, BILL_STATUS)
    total = money(bill.total_minor, bill.currency)
    spans = period(bill.period_start, bill.period_end)
    st.caption(escaped(f"{bill.customer_name} · {spans} · {total}"))


def show_note(note: FoundCreditNote) -> None:
    """A credit note, which its list has with the PDF, and the bill that it takes back."""
    page_link(
        CREDIT_NOTES,
        label=f"**{escaped(note.reference)}**",
        icon=":material/undo:",
        query_params={"text": note.reference},
    )
    total, back = money(note.total_minor, note.currency), invoice_reference(note.bill_number)
    takes_back = _("takes back {reference}", reference=back)
    known = (note.customer_name, takes_back, total, day(note.on_date))
    st.caption(escaped(" · ".join(known)))


def show_payment(payment: FoundPayment) -> None:
    """A payment with who paid it, when and how."""
    page_link(
        PAYMENT,
        label=f"**{escaped(money(payment.amount_minor, payment.currency))}**",
        icon=":material/payments:",
        query_params={"id": payment.id},
    )
    known = (
        payment.customer_name or _("Not identified"),
        METHOD_NAME[payment.method],
        payment.reference,
        day(payment.received_on),
    )
    st.caption(escaped(" · ".join(filter(None, known))))


def ask_text() -> str:
    """What to look for: as the address says, until something else is typed here.

    It is not bound to the address, which the box of every page sets too.
    """
    asked = st.query_params.get("find", "")
    if st.session_state.get("find-asked") != asked:
        st.session_state["find-asked"] = st.session_state["find-text"] = asked
    text = st.text_input(
        _("Search"),
        key="find-text",
        type="search",
        placeholder=_("Name, phone, street, account, meter, bill, reference or amount"),
        live=True,
    )
    if (text or "") != asked:
        st.session_state["find-asked"] = st.query_params["find"] = text or ""
    return (text or "").strip()


principal = require_permission(Permission.VIEW_CUSTOMERS)
show_header(SEARCH.title)
text = ask_text()
found = services().search.find(text, principal=principal)
if not text:
    st.caption(_("Type a part of what you know: three letters of a name or a street are enough."))
elif found.is_empty:
    nothing = _("Nothing fits. Try another part of it, or fewer letters.")
    st.info(nothing, icon=":material/search_off:")
show_group(_("Customers"), found.customers, show_customer)
show_group(_("Meters"), found.meters, show_meter)
show_group(_("Service points"), found.service_points, show_point)
show_group(_("Bills"), found.bills, show_bill)
show_group(_("Credit notes"), found.credit_notes, show_note)
show_group(_("Payments"), found.payments, show_payment)
