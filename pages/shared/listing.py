"""One list for every page that has one: a table where there is room, cards where there is not.

What is looked for, the order and the page are in the address, so that a list can be linked to and
Back finds it as it was. The database filters, sorts, counts and cuts.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import streamlit as st

from pages.languages.words import _, language
from pages.shared.format import apart, count, counted
from pages.shared.list_columns import Column, Listing, Row
from pages.shared.list_files import offer_files
from pages.shared.list_place import SIZES, Place, note_place, pages_from, position_words, rows_here
from services.records.base import KeyPage

_FOLDER: Final = Path(__file__).parent
_table: Final = st.components.v2.component(
    "list_table",
    html='<div class="list"></div>',
    css=(_FOLDER / "list_table.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "list_table.js").read_text(encoding="utf-8"),
)


def show_list(
    listing: Listing[Row],
    *,
    note: str = "",
    actions: Callable[[Sequence[Row]], None] = lambda _: None,
) -> None:
    """The list, how long it is, and what can be done with it; `note` follows its length.

    `actions` shows what else can be done with the rows chosen.
    """
    key = f"list-{listing.noun}"
    shown, found = rows_here(listing)
    with st.container(horizontal=True, vertical_alignment="center"):
        # In a container it takes what the tools leave of a phone's line, and goes on in the next.
        with st.container(width="stretch"):
            st.caption(f"{_length(found, listing)}{note if found.items else ''}")
        tools = st.container(horizontal=True, horizontal_alignment="right", width="content")
    result = _table(
        key=key,
        data=_data(listing, shown, found),
        on_selected_change=lambda: None,
        on_open_change=lambda: None,
        on_sort_change=lambda: note_place(sort=st.session_state[key].sort),
        on_size_change=lambda: note_place(rows=str(st.session_state[key].size)),
        on_page_change=lambda: note_place(page=st.session_state[key].page),
    )
    if result.open:
        st.switch_page(listing.page.script, query_params={"id": str(result.open)})
    chosen = [row for row in found.items if row.id in set(result.selected or ())]
    with tools:
        if chosen:
            actions(chosen)
        if found.items:
            offer_files(listing, shown.request, found, chosen)


def _length(found: KeyPage[Row], listing: Listing[Row]) -> str:
    noun = listing.noun
    if found.is_part:
        here = count(len(found.items), noun)
        if found.has_before and not found.has_after:
            return _(
                "{count_so_far} so far; the page before looks further. A rarer word or a filter "
                "finds it sooner.",
                count_so_far=here,
            )
        return _(
            "{count_so_far} so far; the next page looks further. A rarer word or a filter finds it "
            "sooner.",
            count_so_far=here,
        )
    if found.total is None and found.items:
        return _(f"Many {noun}s")
    if not found.total:
        # Whole sentences, which pages/languages/nouns.py marks for the catalogues.
        fits_none, none = _(f"No {noun} fits."), _(f"No {noun} yet.")
        return fits_none if listing.is_narrowed else listing.nothing or none
    said = counted(found.total, noun, to=found.counted_to)
    return f"{said[0].upper()}{said[1:]}"


def _data(listing: Listing[Row], shown: Place, found: KeyPage[Row]) -> dict[str, Any]:
    request = shown.request
    columns = [(f"c{n}", column) for n, column in enumerate(listing.columns)]
    return {
        "name": _(f"{listing.noun}s".capitalize()),
        "words": _words(),
        "columns": [
            {
                "key": key,
                "label": _(column.label),
                "sort": column.sort,
                "largest_first": column.largest_first,
                "right": column.right,
                "place": column.place,
            }
            for key, column in columns
        ],
        "rows": [_row(listing, columns, row) for row in found.items],
        "sort": request.sort,
        "descending": request.descending,
        "pages": pages_from(listing, shown, found),
        "position": position_words(shown, found),
        "sizes": list(SIZES),
        "size": request.limit,
    }


def _words() -> dict[str, Any]:
    """What the list says by itself; `rtl` where it runs from right to left."""
    return {
        "all": _("All"),
        "sort": _("Sort"),
        "sortBy": _("Sort by"),
        "choose": _("Choose"),
        "chooseAll": _("Choose all on this page"),
        "first": _("First page"),
        "previous": _("Previous page"),
        "next": _("Next page"),
        "last": _("Last page"),
        "rows": _("Rows on a page"),
        "aPage": _("{size} a page", size="{size}"),
        "rtl": language().is_right_to_left,
    }


def _row(
    listing: Listing[Row], columns: Sequence[tuple[str, Column[Row]]], row: Row
) -> dict[str, Any]:
    cells = {
        key: {"text": text, "color": color, "flag": column.flag(row)}
        for key, column in columns
        for color in [column.color(row)]
        # A state is one of our own words.
        for text in [_(column.text(row)) if color else column.text(row)]
    }
    name = next(column.text(row) for column in listing.columns if column.place == "title")
    href = f"{listing.page.path}?id={row.id}"
    return {
        "id": row.id,
        "name": name,
        "href": href,
        "cells": cells,
        # Each part in its own direction: an address beside a day.
        "summary": " · ".join(apart(part) for part in listing.summary(row) if part),
    }
