"""What happened to one thing, newest first: who changed what, when, before and after."""

import json
from collections.abc import Sequence
from datetime import date
from itertools import groupby
from typing import Final

import streamlit as st

from pages.languages.addresses import select_text
from pages.languages.words import _, language
from pages.registry import BILL, CUSTOMER, METER, PAYMENT, SERVICE_POINT, PageEntry
from pages.shared.format import day, escaped
from pages.shared.permitted import page_link
from pages.shared.session import called, may, services, zone
from services.database.errors import DatabaseRefused
from services.history.entries import Detail, Entry
from services.history.timeline import Key, TimelinePage
from services.history.words import KINDS
from services.identity.auth import Principal
from services.quantities.period import local_date
from services.records.details import Subject

_ICON: Final = {
    "contact": "person",
    "supply": "electric_meter",
    "tariff": "price_change",
    "reading": "speed",
    "bill": "receipt_long",
    "payment": "payments",
    "deposit": "savings",
    "plan": "event_note",
    "correction": "edit_document",
    "message": "mail",
    "note": "sticky_note_2",
}
_PAGES: Final[dict[str, PageEntry]] = {
    "bill": BILL,
    "payment": PAYMENT,
    "customer": CUSTOMER,
    "meter": METER,
    "service_point": SERVICE_POINT,
}
# Of what each timeline tells; one kind needs no filter.
_KINDS: Final[dict[Subject, tuple[str, ...]]] = {
    "customer": tuple(KINDS),
    "meter": ("supply", "tariff", "reading", "bill", "correction"),
    "service_point": ("supply", "tariff", "reading", "bill", "correction"),
    "bill": ("bill", "reading", "payment", "plan", "correction", "message"),
    "payment": (),
    "tariff": (),
}
_OLDER: Final = "older"


def show_timeline(subject: Subject, subject_id: str, principal: Principal) -> None:
    """A page of the timeline; which kind and how far back are in the address."""
    kind = _ask_kind(subject)
    found = _page(subject, subject_id, kind, principal)
    if not found.entries:
        st.caption(
            _("Nothing of this kind has happened.") if kind else _("Nothing has happened yet.")
        )
    for on, of_day in groupby(found.entries, key=lambda entry: local_date(entry.at, zone())):
        _show_day(on, list(of_day), (subject, subject_id))
    _show_ways_on(found)


def _ask_kind(subject: Subject) -> str | None:
    kinds = _KINDS[subject]
    if not kinds:
        return None
    names = {KINDS[kind]: kind for kind in kinds}
    chosen = select_text(
        _("Kind"),
        list(names),
        placeholder=_("Everything"),
        key="kind",
        label_visibility="collapsed",
        width=300,
        then=_begin_with_newest,
    )
    return names.get(chosen or "")


def _begin_with_newest() -> None:
    st.query_params.pop(_OLDER, None)


def _page(
    subject: Subject, subject_id: str, kind: str | None, principal: Principal
) -> TimelinePage:
    after = _key_in_address()
    try:
        return services().timeline.of(
            subject=subject, subject_id=subject_id, kind=kind, after=after, principal=principal
        )
    except DatabaseRefused:
        if after is None:
            raise
        # An address that somebody changed by hand.
        return services().timeline.of(
            subject=subject, subject_id=subject_id, kind=kind, principal=principal
        )


def _key_in_address() -> Key | None:
    try:
        at, row = json.loads(st.query_params.get(_OLDER, ""))
    except (ValueError, TypeError):
        return None
    return str(at), str(row)


def _show_day(on: date, entries: Sequence[Entry], here: tuple[str, str]) -> None:
    with st.container(border=True, gap="small"):
        st.caption(day(on))
        for entry in entries:
            _show(entry, here)


def _show(entry: Entry, here: tuple[str, str]) -> None:
    said = entry.said
    icon, label = (
        f":material/{_ICON.get(entry.kind, 'edit')}:",
        f"**{escaped(language().write(said.what))}**",
    )
    with st.container(gap="xxsmall"):
        page = _PAGES[said.link[0]] if said.link and said.link != here else None
        if said.link is None or page is None or not may(*page.needs):
            st.markdown(f"{icon} {label}")
        else:
            query = {"id": said.link[1]}
            page_link(page, label=label, icon=icon, query_params=query)
        if said.more and entry.kind == "note":
            # As it was typed, line by line.
            st.text(said.more)
        elif said.more:
            st.markdown(escaped(language().write(said.more)))
        for detail in said.details:
            st.markdown(_in_words(detail))
        st.caption(
            escaped(
                _(
                    "{time} · by {user}",
                    time=f"{entry.at.astimezone(zone()):%H:%M}",
                    user=called(entry.by),
                )
            )
        )


def _in_words(detail: Detail) -> str:
    label, before, after = (
        escaped(language().write(x)) for x in (detail.label, detail.before, detail.after)
    )
    if before and after:
        return f"{label}: {before} → **{after}**"
    return (
        f"{label}: **{after}**"
        if after
        else _("{label}: {before} → **none**", label=label, before=before)
    )


def _show_ways_on(found: TimelinePage) -> None:
    with st.container(horizontal=True):
        if _OLDER in st.query_params and st.button(_("Newest"), icon=":material/first_page:"):
            del st.query_params[_OLDER]
            st.rerun()
        if found.older and st.button(_("Older"), icon=":material/chevron_right:"):
            st.query_params[_OLDER] = json.dumps(found.older)
            st.rerun()
