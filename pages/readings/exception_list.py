"""Flagged readings as a list, each with a page of its own."""

from typing import Final

import streamlit as st

from pages.languages.words import _, ngettext
from pages.readings.exception_queue import at_stake
from pages.registry import FLAGGED_READING
from pages.shared.components import doubts_of
from pages.shared.format import counted, escaped, how_read, kwh, moment
from pages.shared.permitted import page_link
from pages.shared.session import called, zone
from services.identity.auth import Principal
from services.records.base import COUNTED_TO
from services.records.submissions import FlaggedReading, FlaggedReadings

SHOWN: Final = 50


def show_list(found: FlaggedReadings, _principal: Principal) -> None:
    """What waits for a decision, the most at stake first."""
    st.caption(_how_many(found))
    with st.container(gap="xsmall"):
        for item in found.items:
            _show_row(item)


def _how_many(found: FlaggedReadings) -> str:
    if found.total > COUNTED_TO:
        said = _("{counted} wait for a decision.", counted=counted(found.total, "reading"))
    else:
        said = ngettext(
            "{count} reading waits for a decision.",
            "{count} readings wait for a decision.",
            found.total,
        )
    if found.total <= SHOWN:
        return said
    most = _("These are the {number} with the most at stake.", number=SHOWN)
    return f"{said} {most}"


def _show_row(item: FlaggedReading) -> None:
    reading = item.reading
    with st.container(border=True, gap="xxsmall"):
        page_link(
            FLAGGED_READING,
            label=f"**{kwh(reading.register_wh)}** · {escaped(reading.meter_serial)}",
            icon=":material/flag:",
            query_params={"id": reading.id},
        )
        for doubt in doubts_of(reading.validation)[:1]:
            st.markdown(escaped(doubt))
        said = [
            f"**{escaped(reading.supplied)}**",
            _(
                "read {moment} by {person}",
                moment=moment(reading.read_at, zone()),
                person=escaped(called(reading.submitted_by)),
            ),
            how_read(reading),
        ]
        if stake := at_stake(item):
            said.insert(0, _("About **{stake}** at stake", stake=escaped(stake)))
        st.caption(" · ".join(said))
