"""Photos of meters as the office sees them."""

from collections.abc import Sequence
from typing import Final

import streamlit as st

from pages.shared.format import escaped, moment
from pages.shared.session import services, zone
from services.identity.auth import Principal
from services.records.submissions import MeterPhoto

_SHOWN_OF_METER: Final = 4


def show_reading_photos(reading_id: str, principal: Principal) -> None:
    """The photos that came with a reading; nothing where none came."""
    for photo in services().meter_photos.of_reading(reading_id=reading_id, principal=principal):
        st.image(services().meter_photos.content(photo), caption=_caption(photo))


def show_meter_photos(meter_id: str, principal: Principal) -> None:
    """The newest photos of a meter, of its readings and of why it could not be read."""
    photos = services().meter_photos.of_meter(
        meter_id=meter_id, limit=_SHOWN_OF_METER, principal=principal
    )
    if photos:
        with st.container(border=True):
            st.markdown("**Photos**")
            _show_side_by_side(photos)


def _show_side_by_side(photos: Sequence[MeterPhoto]) -> None:
    for column, photo in zip(st.columns(_SHOWN_OF_METER), photos, strict=False):
        column.image(services().meter_photos.content(photo), caption=_caption(photo))


def _caption(photo: MeterPhoto) -> str:
    what = "Could not be read" if photo.missed_read_id else "Reading"
    return escaped(f"{what}, {moment(photo.created_at, zone())}, by {photo.taken_by}")
