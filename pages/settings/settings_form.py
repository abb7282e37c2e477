"""What each form of the Settings page does: it begins with what holds, and saves what changed."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from pages.languages.words import _, say
from pages.shared.form_ids import form_done, form_id
from pages.shared.format import escaped
from pages.shared.session import may, services
from services.database.errors import IllegalChange
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.utility_settings.desk import ShownSettings
from services.utility_settings.entry import InvalidSettings
from services.utility_settings.logo import InvalidLogo


def opened(name: str, principal: Principal) -> tuple[str, ShownSettings]:
    """The id of the open form of this name, and the settings as they were when it opened.

    What somebody else changes meanwhile is then not overwritten.
    """
    form = form_id(name)
    if f"seen-{form}" not in st.session_state:
        st.session_state[f"seen-{form}"] = services().settings_desk.shown(principal=principal)
    shown: ShownSettings = st.session_state[f"seen-{form}"]
    return form, shown


def may_change() -> bool:
    """Whether whoever is signed in may change settings; their fields are disabled else."""
    return may(Permission.CHANGE_SETTINGS)


def is_fixed(shown: ShownSettings, name: str) -> bool:
    """Whether a field is disabled: the environment sets it, or others change it."""
    return shown.variable_of(name) is not None or not may_change()


def is_locked(shown: ShownSettings, name: str) -> bool:
    """Whether the environment sets this; the field above then says so."""
    variable = shown.variable_of(name)
    if variable:
        st.caption(
            _(":material/lock: Set by the environment variable `{variable}`.", variable=variable)
        )
    return variable is not None


def ask_text(label: str, name: str, shown: ShownSettings, form: str, **how: Any) -> dict[str, str]:
    """A field for a line of text; {} where the environment sets it."""
    locked = is_fixed(shown, name)
    held = str(getattr(shown.held, name))
    typed = st.text_input(label, held, disabled=locked, key=f"{name}-{form}", **how)
    return {} if is_locked(shown, name) else {name: typed or ""}


def save(
    name: str, form: str, body: Mapping[str, Any], shown: ShownSettings, principal: Principal
) -> None:
    """Store what a form says, and tell what came of it."""
    attempt(
        name,
        lambda: services().settings_desk.change(
            change_id=form, body=body, seen=shown.stored, principal=principal
        ),
    )


def attempt(name: str, change: Callable[[], bool]) -> None:
    """Make a change of settings; a refusal is shown in its words, and the form stays as it is."""
    try:
        is_changed = change()
    except InvalidSettings as error:
        for problem in error.problems:
            st.error(escaped(say(problem)), icon=":material/edit:")
    except InvalidLogo as error:
        st.error(escaped(say(error)), icon=":material/edit:")
    except IllegalChange as error:
        st.error(escaped(say(error)), icon=":material/sync_problem:")
        st.button(_("Begin again with them"), on_click=lambda: _begin_again(name))
    else:
        form_done(name, _("The settings are saved.") if is_changed else _("Nothing was changed."))
        st.rerun()


def _begin_again(name: str) -> None:
    st.session_state.pop(f"form-{name}", None)
