"""Routes with how their rounds stand, and the meters of one that are still to be read."""

from collections.abc import Sequence
from typing import Final

import streamlit as st

from pages.languages.words import _, say
from pages.registry import METER
from pages.shared.format import count, day, escaped
from pages.shared.session import now, services
from services.history.terms import MISSED_READ
from services.identity.auth import Principal
from services.languages.sentence import N_
from services.readings.round import ROUTES_AT_ONCE, DueMeter
from services.records.submissions import Round

_AFTER: Final = "after"
_ROUTE: Final = "route"
_COLUMNS: Final = (
    N_("Meter"),
    N_("State"),
    N_("Place"),
    N_("Address"),
    N_("Customer"),
    N_("Last read"),
)


def show_routes(principal: Principal) -> None:
    """Twenty routes by name; one that is chosen with the meters still to read."""
    route = st.query_params.get(_ROUTE)
    if route is not None:
        _show_route(route, principal)
        return
    after = st.query_params.get(_AFTER)
    routes = services().reading_round.routes(principal=principal, now=now(), after=after)
    if not routes:
        st.info(_("No place has a meter that is read by hand."), icon=":material/route:")
    elif after is None and len(routes) < ROUTES_AT_ONCE:
        still = sum(one.still for one in routes)
        st.caption(
            _(
                "{counted}, {counted_2} to read.",
                counted=count(len(routes), "route"),
                counted_2=count(still, "meter"),
            )
        )
    with st.container(gap="xsmall"):
        for one in routes:
            _show_row(one)
    with st.container(horizontal=True):
        if after is not None and st.button(_("First routes"), icon=":material/first_page:"):
            _go()
        if len(routes) == ROUTES_AT_ONCE and st.button(_("Next routes"), icon=":material/east:"):
            _go(**{_AFTER: routes[-1].route})


def _show_row(one: Round) -> None:
    due = one.still + one.missed
    with (
        st.container(border=True),
        st.container(horizontal=True, vertical_alignment="center", wrap=False),
    ):
        with st.container(gap=None):
            st.markdown(f"**{_name(one.route)}**")
            parts = [
                _("{value} read", value=one.meters - due),
                _("{still} to read", still=one.still),
            ]
            parts += [_("{asked} asked for again", asked=one.asked)] if one.asked else []
            parts += (
                [_("{missed} could not be read today", missed=one.missed)] if one.missed else []
            )
            st.caption(f"{count(one.meters, 'meter')}: {', '.join(parts)}")
            if one.meters:
                st.progress((one.meters - due) / one.meters)
        if st.button(
            _("Show"), key=f"route-{one.route}", help=_("Meters of {route}", route=_name(one.route))
        ):
            _go(**{_ROUTE: one.route})


def _show_route(route: str, principal: Principal) -> None:
    if st.button(_("All routes"), icon=":material/arrow_back:", type="tertiary"):
        _go()
    meters = services().reading_round.all_meters(route=route, principal=principal, now=now())
    due = [one for one in meters if one.meter.is_due]
    st.subheader(_name(route), anchor=False)
    st.caption(_("{due} of {counted} to read.", due=len(due), counted=count(len(meters), "meter")))
    only_due = st.toggle(_("Only those to read"), value=True, key="only-due")
    shown: Sequence[DueMeter] = due if only_due else meters
    if not shown:
        st.success(_("Every meter of this route is read."), icon=":material/check_circle:")
        return
    table = st.dataframe(
        [dict(zip(_COLUMNS, _cells(one), strict=True)) for one in shown],
        column_config={name: _(name) for name in _COLUMNS},
        width="stretch",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"meters-{route}",
    )
    if chosen := table.selection.rows:
        st.switch_page(METER.script, query_params={"id": shown[chosen[0]].meter.meter_id})


def _cells(due: DueMeter) -> tuple[str, ...]:
    meter = due.meter
    return (
        meter.serial,
        _state(due),
        meter.code,
        meter.address,
        meter.customer_name or _("Vacant"),
        day(meter.last_read.read_on) if meter.last_read else _("never"),
    )


def _state(due: DueMeter) -> str:
    meter = due.meter
    if meter.missed is not None and meter.is_due:
        reason = say(MISSED_READ[meter.missed.reason])
        said = _("Not read today: {MISSED_READ}", MISSED_READ=reason)
        return f"{said}. {meter.missed.note}" if meter.missed.note else said
    if meter.request is not None:
        return _("To read again: {reason}", reason=meter.request.reason)
    if meter.was_read_on is None:
        return _("To read")
    if meter.waits:
        return _("Needs review, {day}", day=meter.was_read_on)
    return _("Read, {day}", day=meter.was_read_on)


def _name(route: str) -> str:
    return _("Route {route}", route=escaped(route)) if route else _("Without a route")


def _go(**where: str) -> None:
    for name in (_AFTER, _ROUTE):
        st.query_params.pop(name, None)
    st.query_params.update(where)
    st.rerun()
