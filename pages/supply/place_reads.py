"""What was read at a place of supply, over all its meters: a chart, and its numbers as a table."""

import json
from collections.abc import Sequence
from typing import Final

import streamlit as st

from pages.languages.words import _
from pages.shared.charts import use_between_reads
from pages.shared.format import day, escaped, how_read, kwh
from pages.shared.session import services
from services.database.errors import DatabaseRefused
from services.identity.auth import Principal
from services.records.supply import Place
from services.supply.place_reads import Key, PlaceRead, PlaceReadPage

# Not the timeline's: that stands in the address beside it.
_OLDER: Final = "reads-before"


def show_place_reads(place: Place, principal: Principal) -> None:
    """A page of the reads; how far back is in the address."""
    found = _page(place, principal)
    if not found.reads:
        st.caption(_("Nothing was read here yet."))
        return
    use_between_reads(found.reads)
    st.markdown(_table(found.reads), width="stretch")
    with st.container(horizontal=True):
        if _OLDER in st.query_params and st.button(_("Newest"), icon=":material/first_page:"):
            del st.query_params[_OLDER]
            st.rerun()
        if found.older and st.button(_("Older"), icon=":material/chevron_right:"):
            st.query_params[_OLDER] = json.dumps(found.older)
            st.rerun()


def _page(place: Place, principal: Principal) -> PlaceReadPage:
    places, after = services().places, _key_in_address()
    try:
        return places.reads(place=place, after=after, principal=principal)
    except DatabaseRefused:
        if after is None:
            raise
        # An address that somebody changed by hand.
        return places.reads(place=place, after=None, principal=principal)


def _key_in_address() -> Key | None:
    try:
        at, row = json.loads(st.query_params.get(_OLDER, ""))
    except (ValueError, TypeError):
        return None
    return str(at), str(row)


def _table(reads: Sequence[PlaceRead]) -> str:
    rows = [_("| Read | Reading | Used |"), "|:---|---:|---:|"]
    return "\n".join(rows + [_row(read) for read in reads])


def _row(read: PlaceRead) -> str:
    of = read.reading
    # On a phone a date and a value stay on one line each.
    on, value = (_one_line(text) for text in (day(of.read_on), kwh(of.register_wh)))
    is_plain = of.source == "field" and of.quality.is_actual
    source = "" if is_plain else f" {escaped(how_read(of))}"
    used = _one_line(kwh(read.used_wh)) if read.used_wh is not None else ""
    said = " · ".join(filter(None, (used, _event(read)))) or "–"
    return f"| {on} {escaped(of.meter_serial)} | {value}{source} | {said} |"


def _event(read: PlaceRead) -> str:
    if read.is_removal and read.is_installation:
        return _("multiplier changed")
    return _("removed") if read.is_removal else _("installed") if read.is_installation else ""


def _one_line(text: str) -> str:
    return text.replace(" ", "\N{NO-BREAK SPACE}")
