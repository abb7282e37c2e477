"""What a run set aside, each thing with its reason and a link to the page that mends it."""

from typing import Final, Literal

import streamlit as st

from pages.languages.words import _, say
from pages.registry import (
    CORRECT_BILL,
    DRAFTS,
    ESTIMATE_READING,
    FLAGGED_READING,
    FLAGGED_READINGS,
    SERVICES,
    SUBMIT_READING,
    TARIFFS,
    PageEntry,
)
from pages.shared.format import escaped
from pages.shared.permitted import page_link
from services.languages.sentence import N_
from services.records.jobs import SetAside

# By the kind of reason: the page, what its link says, and the name under which it takes the
# subject or what the reason is about.
_Place = tuple[PageEntry, str, tuple[str, Literal["subject", "ref"]] | None]
_MENDED: Final[dict[str, _Place]] = {
    "no_reading": (SUBMIT_READING, N_("Submit a reading"), ("meter", "subject")),
    "not_estimated": (SUBMIT_READING, N_("Submit a reading"), ("meter", "subject")),
    "estimated_too_often": (SUBMIT_READING, N_("Submit a reading"), ("meter", "subject")),
    "not_collected": (SUBMIT_READING, N_("Submit a reading"), ("meter", "subject")),
    "flagged_reading": (FLAGGED_READING, N_("The flagged reading"), ("id", "ref")),
    "fallen_register": (CORRECT_BILL, N_("Correct the last bill"), ("id", "ref")),
    "tariff_missing": (TARIFFS, N_("Tariffs"), None),
    "not_priced": (TARIFFS, N_("Tariffs"), None),
    "held_draft": (DRAFTS, N_("Drafts"), None),
    "head_end": (SERVICES, N_("Services"), None),
}
# Where there is no last bill to correct, its readings stand on the meter's page.
_WITHOUT_REF: Final[dict[str, _Place]] = {
    "fallen_register": (SUBMIT_READING, N_("The meter"), ("meter", "subject")),
    "flagged_reading": (FLAGGED_READINGS, N_("Exceptions"), None),
}


def show_set_aside(row: SetAside) -> None:
    """One thing that a run could not do, with a link to where it is mended."""
    st.markdown(f"**{escaped(row.subject)}** {escaped(say(row.reason))}")
    place = _MENDED.get(row.code)
    if place is not None and row.ref is None:
        place = _WITHOUT_REF.get(row.code, place)
    if place is None:
        return
    page, label, asked = place
    if row.code == "no_reading":
        page_link(
            ESTIMATE_READING,
            label=_("Estimate the reading"),
            icon=":material/calculate:",
            query_params={"meter": row.subject},
            width="content",
        )
    query = {asked[0]: str(getattr(row, asked[1]))} if asked else None
    page_link(page, label=_(label), icon=":material/build:", query_params=query, width="content")
