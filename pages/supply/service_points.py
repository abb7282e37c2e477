"""Service points: find a place by address, route, meter or who is supplied there."""

from dataclasses import replace
from typing import Final

import streamlit as st

from pages.languages.addresses import select
from pages.languages.words import _
from pages.registry import CONNECT, SERVICE_POINT, SERVICE_POINTS
from pages.shared.format import Color, day
from pages.shared.header import header
from pages.shared.list_columns import Column, Listing
from pages.shared.list_filters import ask_text
from pages.shared.listing import show_list
from pages.shared.permitted import page_link
from pages.shared.session import require_permission, services, today
from pages.supply.unbilled import show_unbilled
from services.identity.permissions import Permission
from services.languages.language import Language
from services.languages.sentence import N_
from services.quantities.period import months_before
from services.records.lists import PointFilter
from services.records.supply import ServicePoint

_NEVER: Final = N_("ever")
# What the filter offers, by the months that nobody has read the meter.
_UNREAD_MONTHS: Final = {str(months): months for months in (1, 2, 3, 6, 12)}


def _supplied(point: ServicePoint) -> str:
    name = point.customer_name or _("Vacant")
    return _("{name} (disconnected)", name=name) if point.disconnected_on else name


def _color(point: ServicePoint) -> Color | None:
    if point.disconnected_on:
        return "red"
    return None if point.customer_name else "orange"


def last_read(point: ServicePoint) -> str:
    """When the meter there was read last."""
    if point.last_read_on:
        return day(point.last_read_on)
    return _("never") if point.meter_serial else "–"


COLUMNS: tuple[Column[ServicePoint], ...] = (
    Column(label=N_("Code"), text=lambda point: point.code, sort="code", place="title"),
    Column(label=N_("Address"), text=lambda point: point.address, place="text"),
    Column(label=N_("Meter"), text=lambda point: point.meter_serial or _("none")),
    Column(
        label=N_("Since"),
        text=lambda point: day(point.installed_on) if point.installed_on else "–",
    ),
    Column(
        label=N_("Supplied"),
        text=_supplied,
        color=_color,
        place="status",
    ),
    Column(label=N_("Last read"), text=last_read),
    Column(label=N_("Route"), text=lambda point: point.route or "–"),
)


def summary(point: ServicePoint) -> list[str]:
    """What a card says of a place."""
    said = [point.address]
    if not point.meter_serial:
        said.append(_("No meter"))
    elif point.last_read_on:
        said.append(_("Meter {serial}", serial=point.meter_serial))
        said.append(_("Read {day}", day=point.last_read_on))
    else:
        said += [_("Meter {serial}", serial=point.meter_serial), _("Read never")]
    return said


def _unread_words(spoken: Language, chosen: str) -> str:
    months = _UNREAD_MONTHS.get(chosen)
    if months is None:
        return spoken.gettext("ever")
    return spoken.ngettext("{count} month", "{count} months", months)


def ask_unread() -> str | None:
    """For how long nobody has read the meter; it is in the address."""
    return select(
        _("Not read for"),
        [*_UNREAD_MONTHS, _NEVER],
        said=_unread_words,
        slug_of=str,
        key="unread",
        placeholder=_("Any time"),
    )


principal = require_permission(Permission.VIEW_CUSTOMERS)
with header(SERVICE_POINTS.title):
    page_link(CONNECT, label=_("Connect a customer"), icon=":material/add:")
with st.grid(6, min_column_width=150, vertical_alignment="bottom") as grid:
    with grid.cell(column_span=2):
        text = ask_text(_("Address, code, route, meter or customer"))
    unread = ask_unread()
    vacant = st.toggle(_("Vacant"), key="vacant", bind="query-params")
    cut = st.toggle(_("Disconnected"), key="disconnected", bind="query-params")
    with_use = st.toggle(_("Vacant with use"), key="vacant-with-use", bind="query-params")
months = _UNREAD_MONTHS.get(unread or "")
wanted = PointFilter(
    text=text,
    vacant_only=vacant,
    disconnected_only=cut,
    vacant_with_use=with_use,
    never_read=unread == _NEVER,
    last_read_by=months_before(today(), months) if months else None,
)
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
if vacant or with_use:
    show_unbilled(None, principal)
