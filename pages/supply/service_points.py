"""Service points: find a place by address, route, meter or who is supplied there."""

from dataclasses import replace

import streamlit as st

from pages.registry import CONNECT, SERVICE_POINT, SERVICE_POINTS
from pages.shared.format import Color, day
from pages.shared.header import header
from pages.shared.list_columns import Column, Listing
from pages.shared.list_filters import ask_text
from pages.shared.listing import show_list
from pages.shared.session import require_role, services
from pages.supply.unbilled import show_unbilled
from services.identity.auth import Role
from services.records.lists import PointFilter
from services.records.supply import ServicePoint


def _supplied(point: ServicePoint) -> str:
    name = point.customer_name or "Vacant"
    return f"{name} (disconnected)" if point.disconnected_on else name


def _color(point: ServicePoint) -> Color | None:
    if point.disconnected_on:
        return "red"
    return None if point.customer_name else "orange"


COLUMNS: tuple[Column[ServicePoint], ...] = (
    Column(label="Code", text=lambda point: point.code, sort="code", place="title"),
    Column(label="Address", text=lambda point: point.address, place="text"),
    Column(label="Meter", text=lambda point: point.meter_serial or "none"),
    Column(
        label="Since",
        text=lambda point: day(point.installed_on) if point.installed_on else "–",
    ),
    Column(
        label="Supplied",
        text=_supplied,
        color=_color,
        place="status",
    ),
    Column(label="Route", text=lambda point: point.route or "–"),
)


def summary(point: ServicePoint) -> str:
    """What a card says of a place."""
    said = [point.address, f"Meter {point.meter_serial}" if point.meter_serial else "No meter"]
    return " · ".join(filter(None, said))


principal = require_role(Role.ADMIN)
with header(SERVICE_POINTS.title):
    st.page_link(CONNECT.script, label="Connect a customer", icon=":material/add:")
with st.container(horizontal=True, vertical_alignment="bottom"):
    text = ask_text("Address, code, route, meter or customer")
    vacant = st.toggle("Vacant", key="vacant", bind="query-params")
    cut = st.toggle("Disconnected", key="disconnected", bind="query-params")
wanted = PointFilter(text=text, vacant_only=vacant, disconnected_only=cut)
lists = services().lists
show_list(
    Listing(
        noun="service point",
        page=SERVICE_POINT,
        columns=COLUMNS,
        summary=summary,
        sort="code",
        descending=False,
        asked=wanted,
        fetch=lambda page: lists.service_points(wanted=wanted, page=page, principal=principal),
        file=lambda page, kind, ids: lists.service_points_file(
            wanted=replace(wanted, ids=ids), page=page, kind=kind, principal=principal
        ),
    )
)
if vacant:
    show_unbilled(None, principal)
