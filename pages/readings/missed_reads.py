"""Meters that could not be read at their last visit, and what the office does about them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import streamlit as st

from pages.languages.addresses import select
from pages.languages.words import _, language, ngettext, say
from pages.registry import ESTIMATE_READING, METER
from pages.shared.form_ids import form_done, form_id, show_done
from pages.shared.format import Color, count, day, escaped, moment
from pages.shared.list_columns import Column, Listing
from pages.shared.list_filters import ask_days, ask_text
from pages.shared.listing import show_list
from pages.shared.session import called, now, services, today, zone
from services.database.errors import DatabaseRefused
from services.history.terms import MISSED_READ
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.language import Language
from services.languages.sentence import N_
from services.readings.submission import InvalidReading
from services.records.lists import MissedFilter
from services.records.submissions import MissedMeter, MissedReason

# From so many days in a row on somebody should do something.
_OFTEN: Final = 2


def _why(missed: MissedMeter) -> str:
    said = reason_words(missed.reason)
    return f"{said}. {missed.note}" if missed.note else said


def reason_words(reason: MissedReason) -> str:
    """Why a meter could not be read, as it begins a line."""
    return _reason_in(language(), reason)


def _reason_in(spoken: Language, reason: MissedReason) -> str:
    said = spoken.say(MISSED_READ[reason])
    return f"{said[0].upper()}{said[1:]}"


def _times(missed: MissedMeter) -> str:
    return count(missed.times, "day")


def _color(missed: MissedMeter) -> Color | None:
    return "orange" if missed.times >= _OFTEN else None


def _asked(missed: MissedMeter) -> str:
    return _("asked for again") if missed.asked_because else ""


_COLUMNS: Final[tuple[Column[MissedMeter], ...]] = (
    Column(label=N_("Meter"), text=lambda missed: missed.meter_serial, place="title", flag=_asked),
    Column(
        label=N_("Last visit"),
        text=lambda missed: day(missed.missed_on),
        sort="visit",
        largest_first=True,
    ),
    Column(label=N_("Why"), text=_why, place="text"),
    Column(label=N_("Photo"), text=lambda missed: _("yes") if missed.has_photo else "–"),
    Column(label=N_("By"), text=lambda missed: called(missed.submitted_by)),
    Column(
        label=N_("In a row"),
        text=_times,
        color=_color,
        sort="times",
        largest_first=True,
        place="status",
    ),
    Column(label=N_("Place"), text=lambda missed: missed.code, sort="place"),
    Column(label=N_("Route"), text=lambda missed: missed.route or "–"),
    Column(
        label=N_("Last read"),
        text=lambda missed: day(missed.last_read_on) if missed.last_read_on else _("never"),
    ),
)


def _summary(missed: MissedMeter) -> tuple[str, ...]:
    visit = _(
        "{moment} by {person}",
        moment=moment(missed.missed_at, zone()),
        person=called(missed.submitted_by),
    )
    photo = _("with photo") if missed.has_photo else ""
    route = _("route {route}", route=missed.route) if missed.route else ""
    return (_why(missed), visit, photo, missed.address or missed.code, route)


def show_missed_reads(principal: Principal) -> None:
    """The list with its filters; from it a new read is asked for, or a reading estimated."""
    show_done()
    with st.grid(6, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell(column_span=2):
            text = ask_text(_("Meter, address, code, route or customer"))
        with grid.cell(column_span=2):
            first, last = ask_days(_("Last visit"))
        reason: MissedReason | None = select(
            _("Why"),
            list(MISSED_READ),
            said=_reason_in,
            slug_of=str,
            key="why",
            placeholder=_("Any reason"),
        )
        often = st.number_input(
            _("Days in a row"), min_value=1, max_value=99, key="in-a-row", bind="query-params"
        )
    wanted = MissedFilter(
        text=text,
        reason=reason,
        missed_from=first,
        missed_to=last,
        at_least=int(often),
    )
    lists = services().lists
    show_list(
        Listing(
            noun="meter",
            nothing=_("Every meter was read at its last visit."),
            page=METER,
            columns=_COLUMNS,
            summary=_summary,
            sort="visit",
            descending=True,
            asked=wanted,
            fetch=lambda page: lists.missed_reads(wanted=wanted, page=page, principal=principal),
            file=lambda page, kind, ids: lists.missed_reads_file(
                wanted=replace(wanted, ids=ids), page=page, kind=kind, principal=principal
            ),
        ),
        actions=lambda chosen: _offer(chosen, principal),
    )


def _offer(chosen: Sequence[MissedMeter], principal: Principal) -> None:
    if not principal.may(Permission.DECIDE_READINGS):
        return
    if len(chosen) == 1:
        (one,) = chosen
        if st.button(_("Estimate"), icon=":material/calculate:"):
            st.switch_page(
                ESTIMATE_READING.script,
                query_params={"meter": one.meter_serial, "on": today().isoformat()},
            )
    with (
        st.popover(
            ngettext("Ask for {count} new read", "Ask for {count} new reads", len(chosen)),
            icon=":material/directions_walk:",
        ),
        st.form("ask-again", border=False),
    ):
        reason = st.text_input(_("Reason, shown to whoever reads the meter"), max_chars=500)
        if st.form_submit_button(_("Put on the round"), type="primary"):
            _ask_again(chosen, reason, principal)


def _ask_again(chosen: Sequence[MissedMeter], reason: str, principal: Principal) -> None:
    try:
        services().reading_round.ask_all_again(
            form_id=form_id("ask-again"),
            meter_ids=[one.id for one in chosen],
            reason=reason,
            principal=principal,
            now=now(),
        )
    except (InvalidReading, DatabaseRefused) as error:
        st.error(escaped(say(error)), icon=":material/edit:")
        return
    said = ngettext(
        "{count} meter put on the round again.",
        "{count} meters put on the round again.",
        len(chosen),
    )
    form_done("ask-again", said)
    st.rerun()
