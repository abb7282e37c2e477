"""How the pages about users write their states, roles and links."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import streamlit as st

from pages.languages.words import _
from pages.shared.format import Color, count, escaped
from pages.shared.session import services
from services.identity.permissions import ROLE_NAMES, Role, in_order
from services.languages.sentence import N_
from services.people.links import LIFETIMES, link_with
from services.records.sessions import LinkKind, UserState
from services.settings import Settings

STATES: Final[dict[UserState, tuple[str, Color]]] = {
    "active": (N_("Active"), "green"),
    "invited": (N_("Invited"), "blue"),
    "disabled": (N_("Disabled"), "red"),
}
_DEFAULT_ADDRESS: Final = Settings.model_fields["public_url"].default


def roles_in_words(roles: Iterable[str]) -> str:
    """Roles as people call them."""
    return ", ".join(_(ROLE_NAMES[role]) for role in in_order([Role(role) for role in roles]))


def show_link(code: str, kind: LinkKind, *, name: str) -> None:
    """A one-time link, in the one run that made it, to be handed over."""
    if services().password_sign_in is None:
        st.success(
            _("{name} signs in with the account that has this e-mail address.", name=escaped(name)),
            icon=":material/login:",
        )
        return
    hours = int(LIFETIMES[kind].total_seconds()) // 3600
    lasts = count(hours // 24, "day") if hours > 24 else count(hours, "hour")
    st.success(
        _(
            "Hand this link to {name} yourself. It works once, within {time}, and is shown this "
            "once.",
            name=escaped(name),
            time=lasts,
        ),
        icon=":material/link:",
    )
    st.code(link_with(code, _origin()), language=None, wrap_lines=True)


def _origin() -> str:
    """The address of this site: as it is set, else as this browser has it."""
    public: str = services().settings.public_url
    here = urlsplit(st.context.url or "")
    if public != _DEFAULT_ADDRESS or not here.netloc:
        return public
    return f"{here.scheme}://{here.netloc}"
