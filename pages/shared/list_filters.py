"""What to look for in a list; each filter is in the address, so that a list can be linked to."""

from collections.abc import Mapping
from datetime import date
from typing import TypeVar

import streamlit as st

from pages.languages.addresses import select_text
from pages.languages.words import _
from pages.shared.session import today

Status = TypeVar("Status")


def ask_text(placeholder: str) -> str:
    """The text to look for; it is in the address."""
    text = st.text_input(
        _("Search"), key="q", type="search", placeholder=placeholder, live=True, bind="query-params"
    )
    return text or ""


def ask_days(label: str) -> tuple[date | None, date | None]:
    """The first and the last day to look for, each of them or neither; they are in the address."""
    days = st.date_input(
        label,
        value=[],
        max_value=today(),
        format="DD/MM/YYYY",
        key="days",
        bind="query-params",
    )
    # While only the first is chosen, nothing is looked for yet.
    return days if len(days) == 2 else (None, None)


def ask_status(status_of: Mapping[str, Status]) -> Status | None:
    """The status to look for; the table has each by its name, which is in the address too."""
    status = select_text(_("Status"), list(status_of), key="status", placeholder=_("Every status"))
    return status_of.get(status or "")
