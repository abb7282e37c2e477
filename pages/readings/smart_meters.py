"""Smart meters: when each was asked for last, what came of it, and why there is no reading."""

from dataclasses import replace
from typing import Final

import streamlit as st

from pages.languages.addresses import select_text
from pages.languages.words import _, say
from pages.meters.collection import OUTCOMES, what_now
from pages.registry import METER, SMART_METERS
from pages.shared.format import count, moment
from pages.shared.header import show_header
from pages.shared.list_columns import Column, Listing
from pages.shared.list_filters import ask_text
from pages.shared.listing import show_list
from pages.shared.session import require_permission, services, zone
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.records.lists import CollectedFilter
from services.records.submissions import CollectedMeter

_FAILED: Final = N_("Without a reading")
_BY_NAME: Final = {said[0]: outcome for outcome, said in OUTCOMES.items()}


def _last_reading(one: CollectedMeter) -> str:
    return moment(one.collected_at, zone()) if one.collected_at else _("never")


_COLUMNS: Final[tuple[Column[CollectedMeter], ...]] = (
    Column(
        label=N_("Meter"),
        text=lambda one: one.meter_serial,
        sort="meter",
        place="title",
    ),
    Column(
        label=N_("Asked"),
        text=lambda one: moment(one.tried_at, zone()),
        sort="tried",
        largest_first=True,
    ),
    Column(
        label=N_("What came of it"),
        text=lambda one: OUTCOMES[one.outcome][0],
        color=lambda one: OUTCOMES[one.outcome][1],
        place="status",
    ),
    Column(label=N_("Why"), text=lambda one: say(one.reason) or "–", place="text"),
    Column(label=N_("What now"), text=lambda one: what_now(one) or "–"),
    Column(label=N_("Tries"), text=lambda one: str(one.tries), right=True),
    Column(label=N_("Last collected"), text=_last_reading),
    Column(label=N_("Place"), text=lambda one: one.code),
)


def _summary(one: CollectedMeter) -> tuple[str, ...]:
    asked = _("asked {moment}", moment=moment(one.tried_at, zone()))
    tries = count(one.tries, "try", "tries") if one.tries > 1 else ""
    return (say(one.reason), asked, what_now(one), tries, one.address or one.code)


principal = require_permission(Permission.VIEW_READINGS)
show_header(SMART_METERS.title)
with st.container(horizontal=True, vertical_alignment="bottom"):
    text = ask_text(_("Meter"))
    chosen = select_text(
        _("What came of it"), [_FAILED, *_BY_NAME], key="outcome", placeholder=_("Anything")
    )
wanted = CollectedFilter(text=text, outcome=_BY_NAME.get(chosen or ""), failed=chosen == _FAILED)
lists = services().lists
show_list(
    Listing(
        noun="smart meter",
        nothing=_("No smart meter has been collected yet."),
        page=METER,
        columns=_COLUMNS,
        summary=_summary,
        sort="tried",
        descending=True,
        asked=wanted,
        fetch=lambda page: lists.smart_meters(wanted=wanted, page=page, principal=principal),
        file=lambda page, kind, ids: lists.smart_meters_file(
            wanted=replace(wanted, ids=ids), page=page, kind=kind, principal=principal
        ),
    )
)
