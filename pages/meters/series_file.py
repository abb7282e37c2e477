"""What a meter measured as a file that others read: Green Button XML."""

from datetime import date, timedelta
from typing import Final

import streamlit as st

from pages.languages.words import _
from pages.shared.download import download_button
from pages.shared.session import now, services, today
from services.identity.auth import Principal
from services.quantities.period import Period
from services.records.readings import Meter

_DAY: Final = timedelta(days=1)
_YEAR: Final = timedelta(days=365)
_MOST: Final = timedelta(days=5 * 365)


def offer_series(meter: Meter, principal: Principal) -> None:
    """Ask for the days, and offer the file with the meter's intervals and readings in them."""
    last = today() - _DAY
    with st.popover(_("Intervals and readings as a file"), icon=":material/download:"):
        st.caption(_("Green Button (XML), with the quality of each value."))
        with st.grid(2, min_column_width=120) as grid:
            with grid.cell():
                first = st.date_input(
                    _("From"), last - _YEAR + _DAY, max_value=last, key=f"series-from-{meter.id}"
                )
            with grid.cell():
                until = st.date_input(_("To"), last, max_value=today(), key=f"series-to-{meter.id}")
        problem = _problem(first, until)
        if problem:
            st.error(problem)
            return
        days = Period(first, until + _DAY)
        download_button(
            _("Green Button (XML)"),
            lambda: _file(meter, days, principal),
            file_name=f"green-button-{first}-{until}.xml",
            mime="application/xml",
            key=f"series-{meter.id}",
            icon=":material/download:",
        )


def _file(meter: Meter, days: Period, principal: Principal) -> bytes:
    lookups = services().readings
    pieces = lookups.green_button(meter_id=meter.id, days=days, principal=principal, now=now())
    return b"".join(pieces)


def _problem(first: date, until: date) -> str:
    """Why there is no file of these days, if there is none."""
    if first > until:
        return _("The first day is after the last: choose an earlier one.")
    if until - first > _MOST:
        return _("A file holds at most five years: choose fewer days.")
    return ""
