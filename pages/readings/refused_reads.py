"""Readings that phones of the round sent and that were refused: by whom, what, and why."""

from datetime import datetime

import streamlit as st

from pages.languages.words import _, say
from pages.registry import METER
from pages.shared.format import escaped, moment
from pages.shared.session import called, services, zone
from services.identity.auth import Principal
from services.readings.round import REFUSED_AT_ONCE
from services.records.submissions import RefusedRead


def show_refused_reads(principal: Principal) -> None:
    """The last ones, each with its meter where there is one."""
    found = services().reading_round.refused(principal=principal)
    if not found:
        st.info(_("No reading of a round was refused."), icon=":material/check_circle:")
        return
    st.caption(_("Nothing of these was stored as a reading; the phone shows why, too."))
    for number, one in enumerate(found):
        _show(number, one)
    if len(found) == REFUSED_AT_ONCE:
        st.caption(_("These are the last {number}.", number=REFUSED_AT_ONCE))


def _show(number: int, one: RefusedRead) -> None:
    with (
        st.container(border=True),
        st.container(horizontal=True, vertical_alignment="center", wrap=False),
    ):
        with st.container(gap=None):
            value = f"{escaped(one.shown)} kWh" if one.shown else _("no value")
            meter = escaped(one.meter_serial) or _("No meter")
            st.markdown(f"**{meter}**: {value}")
            st.markdown(escaped(say(one.why)))
            said = [
                _read_at(one),
                _("sent {moment}", moment=moment(one.refused_at, zone())),
                _("by {person}", person=escaped(called(one.submitted_by))),
            ]
            said += [_("a reading came since")] if one.was_read_since else []
            st.caption(" · ".join(said))
        if one.meter_id is not None and st.button(
            _("Show"),
            key=f"refused-{number}",
            help=_("Meter {serial}", serial=escaped(one.meter_serial)),
        ):
            st.switch_page(METER.script, query_params={"id": one.meter_id})


def _read_at(one: RefusedRead) -> str:
    try:
        written = datetime.fromisoformat(one.read_at)
    except ValueError:
        written = None
    if written is None or written.tzinfo is None:
        if not one.read_at:
            return _("Read at an unknown time")
        return _("Read {day}", day=escaped(one.read_at))
    return _("Read {day}", day=moment(written, zone()))
