"""Network: where energy is lost, what a correction touches, and what hangs together with a bill."""

import streamlit as st

from pages.languages.words import _, say
from pages.network.blast_radius import show_affected
from pages.network.losses import show_losses
from pages.network.neighbourhood import show_neighbourhood
from pages.registry import NETWORK
from pages.shared.format import escaped
from pages.shared.header import show_header
from pages.shared.session import require_permission, services
from services.graph import Graph
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.integrations.http import RequestRejected, ServiceUnavailable
from services.languages.sentence import N_

LOSSES = N_("Energy losses")
AFFECTED = N_("What a correction touches")
AROUND = N_("Around a bill")
VIEWS = (LOSSES, AFFECTED, AROUND)


def show_network(graph: Graph, principal: Principal) -> None:
    """The view that was chosen; the graph may be away for a while, which loses nothing."""
    # A link from another page says what it is about, and with it which view is wanted.
    asked = st.query_params
    first = AROUND if "bill" in asked else AFFECTED if {"meter", "reading"} & {*asked} else LOSSES
    view = st.segmented_control(
        _("View"),
        VIEWS,
        format_func=_,
        default=first,
        label_visibility="collapsed",
        key="network-view",
    )
    try:
        _show(view or first, graph, principal)
    except ServiceUnavailable as error:
        st.info(
            _(
                "{error} The graph is only a picture of the database: nothing is lost meanwhile.",
                error=escaped(say(error)),
            ),
            icon=":material/hourglass_empty:",
        )
        st.button(_("Try again"), icon=":material/refresh:")
    except RequestRejected as error:
        st.error(_("The graph refused the question: {error}", error=escaped(say(error))))


def _show(view: str, graph: Graph, principal: Principal) -> None:
    if view == LOSSES:
        show_losses(graph)
    elif view == AFFECTED:
        show_affected(graph, principal)
    else:
        show_neighbourhood(graph, principal)


principal = require_permission(Permission.VIEW_READINGS)
show_header(NETWORK.title)
opened = services().graph
if opened.graph is None:
    st.info(
        _(
            "This page needs the graph, which is off: {reason} Billing does not depend on it. The "
            "README says how to use the embedded graph or a Neo4j server.",
            reason=say(opened.off) or _("no graph is set up"),
        ),
        icon=":material/hub:",
    )
else:
    show_network(opened.graph, principal)
