"""The security log: sign-ins, sign-outs, refusals, keys; the latest first."""

from typing import Final, get_args

import streamlit as st

from pages.languages.addresses import select
from pages.languages.words import _, say
from pages.registry import SECURITY_LOG
from pages.shared.format import escaped, moment
from pages.shared.header import show_header
from pages.shared.permitted import page_link
from pages.shared.session import require_permission, services, zone
from pages.sign_ins.event_names import EVENT_NAMES
from services.identity.permissions import Permission
from services.identity.security_log import Event
from services.records.sessions import SecurityEvent

PAGE_SIZE: Final = 50


def show_event(event: SecurityEvent) -> None:
    """One row: when, what, who, from where, and the detail."""
    with st.container(border=True, gap="xxsmall"):
        who = f" · {escaped(event.who)}" if event.who else ""
        st.markdown(f"**{escaped(EVENT_NAMES.get(event.event, event.event))}**{who}")
        said = [moment(event.at, zone())]
        if event.address:
            said.append(_("from {address}", address=escaped(event.address)))
        if event.detail:
            said.append(escaped(say(event.detail)))
        st.caption(" · ".join(said))


principal = require_permission(Permission.VIEW_SECURITY)
show_header(SECURITY_LOG.title)
st.caption(_("Refusals that repeat are one row a minute. It never holds a token, a key or a link."))
left, right = st.columns(2)
with left:
    chosen: Event | None = select(
        _("Event"),
        list(get_args(Event)),
        said=EVENT_NAMES.said_in,
        slug_of=str,
        key="event",
        placeholder=_("Every event"),
    )
who = right.text_input(
    _("Who"), key="who", type="search", placeholder=_("Everybody"), bind="query-params"
)
before = st.query_params.get("before", "")
found = services().security_log.events(
    limit=PAGE_SIZE + 1,
    event=chosen,
    who=who.strip(),
    before=int(before) if before.isascii() and before.isdecimal() and len(before) < 19 else None,
    principal=principal,
)
if not found:
    st.info(_("There is nothing."))
with st.container(gap="xsmall"):
    for event in found[:PAGE_SIZE]:
        show_event(event)
if len(found) > PAGE_SIZE:
    given = {"event": chosen or "", "who": who.strip()}
    page_link(
        SECURITY_LOG,
        label=_("Older ones"),
        icon=":material/arrow_forward:",
        query_params={name: value for name, value in given.items() if value}
        | {"before": str(found[PAGE_SIZE - 1].id)},
    )
