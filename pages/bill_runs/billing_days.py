"""On which day of the month who is billed: the days in use, and the day of each reading route."""

from typing import Final

import streamlit as st

from pages.languages.words import _, ngettext, say
from pages.registry import SERVICE_POINTS
from pages.shared.components import chosen_page, page_number
from pages.shared.form_ids import form_done
from pages.shared.format import count, escaped, grouped, ordinal
from pages.shared.permitted import page_link, submit_button
from pages.shared.session import services
from services.billing.cycles import LAST_BILLING_DAY, NoBillingDay
from services.database.errors import NotFound
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.records.jobs import ReadingRoute

_AT_ONCE: Final = 25
_PAGE: Final = "routes-page"


def show_billing_days(principal: Principal) -> None:
    """The days in use, then the routes with a field for the day of each."""
    days = services().billing_cycles.days(principal=principal)
    st.caption(
        _(
            "Each agreement is billed once a month, on its billing day, up to its last reading "
            "until then. Read a route some days before its billing day."
        )
    )
    heads = (_("Billing day"), _("Agreements"))
    cycles = [(one.billing_day, one.agreements) for one in days.cycles] or [(1, 0)]
    rows = [f"| {ordinal(on)} | {grouped(str(number))} |" for on, number in cycles]
    st.markdown("\n".join([f"| {' | '.join(heads)} |", "|:---|---:|", *rows]), width="stretch")
    st.subheader(_("Reading routes"), anchor=False)
    if not days.routes:
        st.caption(_("No place of supply is on a route. The route is set on the service point."))
        page_link(SERVICE_POINTS, label=_(SERVICE_POINTS.title), icon=":material/location_on:")
    first = (chosen_page(_PAGE) - 1) * _AT_ONCE
    for route in days.routes[first : first + _AT_ONCE]:
        _ask_day_of(route, principal)
    page_number(total=len(days.routes), page_size=_AT_ONCE, key=_PAGE)


def _ask_day_of(route: ReadingRoute, principal: Principal) -> None:
    with (
        st.form(f"route-{route.route}"),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        st.markdown(f"**{escaped(route.route)}**  \n{count(route.places, 'place')}")
        chosen = st.number_input(
            _("Billing day"),
            1,
            LAST_BILLING_DAY,
            value=route.billing_day,
            placeholder=_("each its own"),
            width=160,
            key=f"day-{route.route}",
        )
        if submit_button(_("Save"), Permission.PREPARE_BILLS) and chosen is not None:
            _save(route, int(chosen), principal)


def _save(route: ReadingRoute, billing_day: int, principal: Principal) -> None:
    try:
        moved = services().billing_cycles.move_route(
            route.route, billing_day=billing_day, principal=principal
        )
    except (NoBillingDay, NotFound) as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    form_done(
        f"route-{route.route}",
        ngettext(
            "Route {route} is billed on the {ordinal}; {count} agreement moved to that day.",
            "Route {route} is billed on the {ordinal}; {count} agreements moved to that day.",
            moved,
            route=escaped(route.route),
            ordinal=ordinal(billing_day),
        ),
    )
    st.rerun()
