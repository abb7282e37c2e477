"""Fields for amounts and energy: the text that was typed, never a float."""

import json
from pathlib import Path
from typing import Final
from uuid import uuid4

import streamlit as st

_SCRIPT: Final = Path(__file__).with_name("number_field.js").read_text(encoding="utf-8")

# The field may come a moment after the script; the second value makes each script a new one.
_FOCUS: Final = """((label) => {
  const look = (left) => {
    const field = document.querySelector(`input[aria-label=${JSON.stringify(label)}]`);
    if (field) field.focus();
    else if (left) setTimeout(look, 50, left - 1);
  };
  look(40);
})"""


def show_numeric_keyboards() -> None:
    """Let a phone show its numeric keyboard for number fields; once a page."""
    st.html(f"<script>{_SCRIPT}</script>", unsafe_allow_javascript=True, width="content")


def number_field(
    label: str,
    *,
    key: str,
    value: str = "",
    placeholder: str | None = None,
    disabled: bool = False,
) -> str:
    """What was typed, without spaces around it, for services/quantities/typed.py to read."""
    typed = st.text_input(
        label,
        value=value,
        placeholder=placeholder,
        autocomplete="off",
        disabled=disabled,
        key=f"number-{key}",
    )
    return (typed or "").strip()


def focus_field(label: str) -> None:
    """Put the cursor into a field that has just been shown, for whoever works without a mouse."""
    name = json.dumps(label).replace("<", "\\u003c")
    st.html(
        f"<script>{_FOCUS}({name}, {json.dumps(str(uuid4()))})</script>",
        unsafe_allow_javascript=True,
        width="content",
    )
