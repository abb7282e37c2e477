"""Where in a list people are: its order and page, as the address has them, and the next ones."""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Final

import streamlit as st

from pages.languages.words import _
from pages.shared.format import grouped
from pages.shared.list_columns import Listing, Row
from services.database.errors import DatabaseRefused
from services.records.base import Key, KeyPage, PageRequest

SIZES: Final = (25, 50, 100)


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a list people are: the request, and how many rows are before it, if known."""

    request: PageRequest
    before: int | None


def rows_here(listing: Listing[Row]) -> tuple[Place, KeyPage[Row]]:
    """The rows of the page that the address names, or of the first one where it names none."""
    shown = _asked_for(listing)
    try:
        found = listing.fetch(shown.request)
    except DatabaseRefused:
        # An address that somebody changed by hand.
        shown = Place(replace(shown.request, after=None, backwards=False), 0)
        return shown, listing.fetch(shown.request)
    if not found.items and shown.request.after is not None and not found.is_part:
        # The rows of this page are gone meanwhile.
        shown = Place(replace(shown.request, after=None, backwards=False), 0)
        found = listing.fetch(shown.request)
    if shown.before is None and found.total is not None and found.is_counted:
        shown = replace(shown, before=found.total - len(found.items))
    return shown, found


def _asked_for(listing: Listing[Any]) -> Place:
    """The page that the address names, or the first one where it names none of this list."""
    size = st.query_params.get("rows", "")
    order = st.query_params.get("sort", "")
    sort, descending = order.removeprefix("-"), order.startswith("-")
    if sort not in {column.sort for column in listing.columns if column.sort}:
        sort, descending = listing.sort, listing.descending
    limit = int(size) if size in map(str, SIZES) else SIZES[0]
    first = Place(PageRequest(sort, descending, limit=limit), 0)
    if not (token := st.query_params.get("page")):
        return first
    place = _read_token(token, _mark(listing, first.request))
    if place is None:
        del st.query_params["page"]
        return first
    after, backwards, before = place
    return Place(replace(first.request, after=after, backwards=backwards), before)


def _mark(listing: Listing[Any], request: PageRequest) -> str:
    """What a page belongs to: the question and the order, in a few letters."""
    asked = repr((listing.asked, request.sort, request.descending))
    return hashlib.sha256(asked.encode()).hexdigest()[:8]


def _token(mark: str, after: Key | None, *, backwards: bool, before: int | None) -> str:
    text = json.dumps([mark, after, backwards, before], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(token: str, mark: str) -> tuple[Key | None, bool, int | None] | None:
    """The place in the list; None for a token of another list, or of nobody's."""
    try:
        read = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        of, after, backwards, before = read
        if of != mark or not isinstance(backwards, bool):
            return None
        key = (after[0], str(after[1])) if after is not None else None
        return key, backwards, int(before) if before is not None else None
    except (ValueError, TypeError, LookupError, binascii.Error):
        return None


def note_place(**what: str) -> None:
    """Put into the address how people want the list; another order or size starts over."""
    if "page" not in what:
        st.query_params.pop("page", None)
    for name, value in what.items():
        if value:
            st.query_params[name] = value
        else:
            st.query_params.pop(name, None)


def pages_from(listing: Listing[Any], shown: Place, found: KeyPage[Any]) -> dict[str, str | None]:
    """Where each button leads, as a token; the first page has an empty one.

    Nothing leads to the end of a list that is narrowed to more rows than are counted: all others
    might have to be looked at from the other end. Another order comes to the same rows.
    """
    is_far = listing.is_narrowed and not found.is_counted
    mark, before, here = _mark(listing, shown.request), shown.before, len(found.items)
    after = None if before is None else before + here
    earlier = None if before is None else max(0, before - shown.request.limit)
    return {
        "first": "" if found.has_before else None,
        "previous": _token(mark, found.first, backwards=True, before=earlier)
        if found.has_before
        else None,
        "next": _token(mark, found.last, backwards=False, before=after)
        if found.has_after
        else None,
        "last": _token(mark, None, backwards=True, before=None)
        if found.has_after and not is_far
        else None,
    }


def position_words(shown: Place, found: KeyPage[Any]) -> str:
    """Which rows of how many these are: 26–50 of 1,035."""
    if not found.items:
        return ""
    if found.total is None:
        of = _("many") if found.has_before or found.has_after else grouped(str(len(found.items)))
    else:
        of = (
            grouped(str(found.total))
            if found.is_counted
            else _("more than {counted_to}", counted_to=found.counted_to)
        )
    if shown.before is None:
        return _("The last {items} of {of}", items=len(found.items), of=of)
    return _(
        "{value}–{value_2} of {of}",
        value=shown.before + 1,
        value_2=shown.before + len(found.items),
        of=of,
    )
