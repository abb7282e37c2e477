"""Photos of meters as the office sees them."""

from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.languages.words import _, say
from pages.shared.format import escaped, moment
from pages.shared.session import services, zone
from services.identity.auth import Principal
from services.readings.photos import PhotoDamaged
from services.records.submissions import MeterPhoto

_SHOWN_OF_METER: Final = 4


def show_reading_photos(reading_id: str, principal: Principal) -> None:
    """The photos that came with a reading; nothing where none came."""
    for photo in services().meter_photos.of_reading(reading_id=reading_id, principal=principal):
        _show(photo, principal, st.container())


def show_meter_photos(meter_id: str, principal: Principal) -> None:
    """The newest photos of a meter, of its readings and of why it could not be read."""
    photos = services().meter_photos.of_meter(
        meter_id=meter_id, limit=_SHOWN_OF_METER, principal=principal
    )
    if photos:
        with st.container(border=True):
            st.markdown(_("**Photos**"))
            for column, photo in zip(st.columns(_SHOWN_OF_METER), photos, strict=False):
                _show(photo, principal, column)


def _show(photo: MeterPhoto, principal: Principal, where: DeltaGenerator) -> None:
    what = _("Could not be read") if photo.missed_read_id else _("Reading")
    said = escaped(
        _(
            "{what}, {created_at}, by {taken_by}",
            what=what,
            created_at=moment(photo.created_at, zone()),
            taken_by=photo.taken_by,
        )
    )
    try:
        jpeg = services().meter_photos.content(photo, principal=principal)
    except PhotoDamaged as error:
        where.warning(f"{said}: {escaped(say(error))}", icon=":material/broken_image:")
        return
    where.image(jpeg, caption=said)
