"""Which heading of a file is meant by which column: said once, and remembered."""

from typing import Final

import streamlit as st

from pages.imports.kind_names import field_name
from pages.languages.words import _
from pages.shared.format import escaped
from pages.shared.session import services
from services.identity.auth import Principal
from services.importing.file_imports import FileLook
from services.importing.kinds import COLUMNS_OF, TableKind
from services.languages.sentence import N_

_NONE: Final = N_("Not in this file")


def ask_columns(kind: TableKind, look: FileLook, key: str, principal: Principal) -> bool:
    """Show how the columns are matched; whether they were matched otherwise now, and remembered.

    `key` is the file's.
    """
    if look.missing:
        lacking = ", ".join(field_name(name) for name in look.missing)
        st.warning(
            _(
                "No column of the file is called like: {lacking}. Say once which one is meant; it "
                "is remembered for the next file.",
                lacking=lacking,
            ),
            icon=":material/view_column:",
        )
    unknown = sum(field is None for field in look.fields)
    label = _(
        "Columns: {matched} matched, {unknown} left out",
        matched=len(look.fields) - unknown,
        unknown=unknown,
    )
    with st.expander(label, expanded=bool(look.missing), icon=":material/view_column:"):
        chosen = _show_form(kind, look, key)
    if chosen is None:
        return False
    headings = _headings(kind, look)
    services().imports.remember(kind, chosen, headings=headings, principal=principal)
    return True


def _show_form(kind: TableKind, look: FileLook, key: str) -> dict[str, str | None] | None:
    """The heading of each column as it was chosen, once the form is sent without a mistake."""
    columns, headings = COLUMNS_OF[kind], _headings(kind, look)
    chosen: dict[str, str | None] = {}
    with st.form(f"columns-{key}", border=False):
        with st.grid(3, min_column_width=220) as grid:
            for field in (*columns.required, *columns.optional):
                required = field in columns.required
                with grid.cell():
                    chosen[field] = _ask_heading(field, look, headings, key, required=required)
        if not st.form_submit_button(_("Use these columns"), icon=":material/check:"):
            return None
    picked = [heading for heading in chosen.values() if heading]
    if twice := [heading for heading in picked if picked.count(heading) > 1]:
        st.error(
            _(
                "“{heading}” is chosen twice. Choose it for one of the two.",
                heading=escaped(twice[0]),
            )
        )
        return None
    return chosen


def _headings(kind: TableKind, look: FileLook) -> list[str]:
    """The headings that may be matched; those of further columns name themselves."""
    prefix = COLUMNS_OF[kind].prefix
    return [
        heading
        for heading, field in zip(look.headings, look.fields, strict=True)
        if heading and not (prefix and field and field.startswith(prefix))
    ]


def _ask_heading(
    field: str, look: FileLook, headings: list[str], key: str, *, required: bool
) -> str | None:
    now = next(
        (h for h, f in zip(look.headings, look.fields, strict=True) if f == field and h), None
    )
    needed = " *" if required else ""
    options = [_NONE, *dict.fromkeys(headings)]
    found = st.selectbox(
        f"{field_name(field)}{needed}",
        options,
        format_func=lambda option: _(_NONE) if option == _NONE else option,
        index=options.index(now) if now in options else 0,
        key=f"column-{field}-{key}",
    )
    return None if found == _NONE else found
