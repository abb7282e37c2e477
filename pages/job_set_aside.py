"""What a run set aside, each thing with its reason and a link to the page that mends it."""

from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from pages.words import plain

# By the kind of reason: the page, what its link says, and the name under which it takes the
# subject or what the reason is about.
_Place = tuple[str, str, tuple[str, str] | None]
_MENDED: Final[dict[str, _Place]] = {
    "no_reading": ("engineer/submit_reading.py", "Submit a reading", ("meter", "subject")),
    "not_collected": ("engineer/submit_reading.py", "Submit a reading", ("meter", "subject")),
    "flagged_reading": ("admin/flagged_reading.py", "The flagged reading", ("id", "ref")),
    "fallen_register": ("admin/correct_bill.py", "Correct the last bill", ("id", "ref")),
    "tariff_missing": ("admin/tariffs.py", "Tariffs", None),
    "not_priced": ("admin/tariffs.py", "Tariffs", None),
    "held_draft": ("admin/drafts.py", "Drafts", None),
    "head_end": ("admin/services.py", "Services", None),
}
# Where there is no last bill to correct, its readings stand on the meter's page.
_WITHOUT_REF: Final[dict[str, _Place]] = {
    "fallen_register": ("engineer/submit_reading.py", "The meter", ("meter", "subject")),
    "flagged_reading": ("admin/flagged_readings.py", "Flagged readings", None),
}


def show_set_aside(row: Mapping[str, Any]) -> None:
    """One thing that a run could not do: {subject, reason, code, ref}."""
    st.markdown(f"**{plain(row['subject'])}** {plain(row['reason'])}")
    place = _MENDED.get(row["code"])
    if place is not None and row["ref"] is None:
        place = _WITHOUT_REF.get(row["code"], place)
    if place is None:
        return
    page, label, asked = place
    query = {asked[0]: str(row[asked[1]])} if asked else None
    st.page_link(page, label=label, icon=":material/build:", query_params=query, width="content")
