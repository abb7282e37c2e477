"""Work orders that cut supplies and bring them back, and what engineers found there."""

from collections.abc import Mapping, Sequence
from typing import Final

import streamlit as st

from pages.dunning.words import customer_link
from pages.languages.words import Said, _, language
from pages.registry import CHANGE_SUPPLY, SERVICE_POINT, SUBMIT_READING
from pages.shared.format import Color, escaped, kwh
from pages.shared.permitted import page_link
from pages.shared.session import called, services
from services.history.terms import MISSED_READ
from services.identity.auth import Principal
from services.languages.sentence import N_, P_
from services.records.dunning.orders import OrderKind, OrderStatus, WorkOrder

_KINDS: Final[Mapping[OrderKind, str]] = Said(
    {"disconnect": N_("Disconnect"), "reconnect": N_("Reconnect")}
)
_ENTER: Final[Mapping[OrderKind, str]] = Said(
    {"disconnect": N_("Enter the disconnection"), "reconnect": N_("Enter the reconnection")}
)
_MISSED: Final = Said(MISSED_READ)
_STATES: Final[Mapping[OrderStatus, tuple[str, Color]]] = {
    "open": (P_("order", "Open"), "blue"),
    "done": (P_("order", "Done"), "green"),
    "cancelled": (P_("order", "Cancelled"), "gray"),
}


def show_orders(principal: Principal) -> None:
    """The open orders, or all of the last ones."""
    every = st.toggle(_("Also those that are closed"), key="closed", bind="query-params")
    orders = services().dunning.work_orders(principal=principal, open_only=not every)
    st.caption(
        _(
            "An order stands on the round of its route, and on the page Work orders: the engineer "
            "does the work and reads the meter. A smart meter is on no round: it is switched from "
            "afar, or by a visit. Then enter the disconnection or reconnection at its service "
            "point. Who pays before that is taken off."
        )
    )
    if not orders:
        st.info(_("There is no order."), icon=":material/done_all:")
    show_order_cards(orders)


def show_order_cards(orders: Sequence[WorkOrder], *, with_customer: bool = True) -> None:
    """Work orders, one card each."""
    with st.container(gap="small"):
        for order in orders:
            show_order(order, with_customer=with_customer)


def show_order(order: WorkOrder, *, with_customer: bool) -> None:
    """One order: what and where, what the engineer found, and the next step."""
    with st.container(border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{_KINDS[order.kind]}**", width="content")
            label, color = _STATES[order.status]
            st.badge(language().pgettext("order", label), color=color)
            if order.meter_kind == "smart":
                st.badge(_("Smart meter"), icon=":material/sensors:", color="violet")
            if with_customer:
                customer_link(order.customer_id, order.customer_name, order.account_no)
        st.caption(
            _(
                "{place} · {route} · meter {serial} · ordered {day}",
                place=escaped(order.address or order.service_point_code),
                route=_route(order),
                serial=escaped(order.meter_serial),
                day=order.ordered_on,
            )
        )
        if order.closed_because:
            st.caption(escaped(order.closed_because))
        if order.status == "open":
            _show_open(order)


def _route(order: WorkOrder) -> str:
    if order.meter_kind == "smart":
        return _("from afar, or by a visit")
    return _("route {route}", route=escaped(order.route)) if order.route else _("on no route")


def _show_open(order: WorkOrder) -> None:
    if order.read_wh is not None and order.read_on:
        st.success(
            _(
                "Done by {user} on {day}: the meter showed {energy}.",
                user=escaped(called(order.read_by or "")),
                day=order.read_on,
                energy=kwh(order.read_wh),
            ),
            icon=":material/engineering:",
        )
    elif order.missed_reason and order.missed_on:
        said = _(
            "Not done on {day}: {reason}", day=order.missed_on, reason=_MISSED[order.missed_reason]
        )
        note = f". {escaped(order.missed_note)}" if order.missed_note else ""
        st.warning(f"{said}{note}", icon=":material/block:")
    with st.container(horizontal=True):
        if order.read_wh is None:
            page_link(
                SUBMIT_READING,
                label=_("Read the meter"),
                icon=":material/speed:",
                query_params={"meter": order.meter_serial},
            )
        page_link(
            CHANGE_SUPPLY,
            label=_ENTER[order.kind],
            icon=":material/power_settings_new:",
            query_params={"id": order.service_point_id, "what": order.kind},
        )
        page_link(
            SERVICE_POINT,
            label=_("Service point"),
            icon=":material/location_on:",
            query_params={"id": order.service_point_id},
        )
