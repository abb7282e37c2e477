"""A draft of a tariff as fields, each with what is wrong with it beneath, or as JSON."""

from datetime import date
from typing import Any

import streamlit as st

from pages.shared.format import escaped
from pages.tariffs.tariff_draft import WrittenDraft
from services.tariff_publishing.drafts import Draft, Field, number_fields, problems_at
from services.tariff_publishing.json_text import Path, path_text, with_value

_JSON_HEIGHT = 620
_KINDS = {"power_factor": "power factor", "fixed": "fixed amount"}


def show_form(written: WrittenDraft, draft: Draft) -> None:
    """The head of the tariff and the numbers of its charges; the rest is written as JSON."""
    data = draft.data or {}
    with st.container(border=True):
        for name, label in _head(written):
            _text(written, draft, Field((name,), label, str(data.get(name, ""))))
        if not written.start.corrects:
            _date(written, draft, data.get("effective_from"))
    charges = data.get("charges")
    for index, charge in enumerate(charges if isinstance(charges, list) else ()):
        if isinstance(charge, dict):
            _show_charge(written, draft, charge, index)
    st.caption("Charges, conditions and calendars are added, moved and removed in the JSON.")


def show_json(written: WrittenDraft) -> None:
    """The whole draft as text; it is kept as it is typed, also where it is not JSON."""
    key = f"json-{written.key}"
    st.session_state[key] = written.text
    st.text_area(
        "The tariff as JSON",
        key=key,
        height=_JSON_HEIGHT,
        on_change=lambda: written.write(st.session_state[key]),
        help="What you type is checked when you leave the field, or with Ctrl+Enter.",
    )


def _head(written: WrittenDraft) -> list[tuple[str, str]]:
    """The texts of the head; a tariff keeps its code and name, which bills show."""
    if written.start.version:
        return [("source", "Source")]
    return [("code", "Code"), ("name", "Name"), ("currency", "Currency"), ("source", "Source")]


def _show_charge(written: WrittenDraft, draft: Draft, charge: dict[str, Any], index: int) -> None:
    path: Path = ("charges", index, "description")
    described = Field(path, "On the bill", str(charge.get("description", "")))
    numbers = number_fields(charge, index)
    with st.container(border=True, gap="small"):
        kind = str(charge.get("kind", ""))
        kind = _KINDS.get(kind, kind).capitalize()
        st.markdown(f"**{escaped(kind)}** :gray[:small[{escaped(charge.get('code', ''))}]]")
        if len(numbers) != 1:
            _text(written, draft, described)
        # A charge of one number stands on one line.
        fields = [described, *numbers] if len(numbers) == 1 else numbers
        with st.grid(2, min_column_width=120) as grid:
            for field in fields:
                with grid.cell():
                    _text(written, draft, field)


def _text(written: WrittenDraft, draft: Draft, field: Field) -> None:
    where = path_text(field.path)
    key = f"{written.key}-{where}"
    st.session_state[key] = field.value
    st.text_input(
        field.label,
        key=key,
        autocomplete="off",
        on_change=_keep,
        args=(written, field.path, key),
    )
    for why in problems_at(draft.problems, where):
        st.caption(f":red[{escaped(why)}]")


def _date(written: WrittenDraft, draft: Draft, value: Any) -> None:
    """The effective date; where what was written is no date, it is a text to be put right."""
    path: Path = ("effective_from",)
    try:
        begins = date.fromisoformat(value)
    except (TypeError, ValueError):
        _text(written, draft, Field(path, "Effective from", str(value or "")))
        return
    key = f"{written.key}-date"
    st.session_state[key] = begins
    st.date_input(
        "Effective from",
        key=key,
        format="YYYY-MM-DD",
        on_change=_keep,
        args=(written, path, key),
        help="The local date from which it holds. Bills before it keep the version they have.",
    )


def _keep(written: WrittenDraft, path: Path, key: str) -> None:
    written.write(with_value(written.text, path, str(st.session_state[key] or "").strip()))
