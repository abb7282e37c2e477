"""Fields for amounts and energy: the text that was typed, never a float."""

from pathlib import Path
from typing import Final

import streamlit as st

_SCRIPT: Final = Path(__file__).with_name("number_field.js").read_text(encoding="utf-8")


def show_numeric_keyboards() -> None:
    """Let a phone show its numeric keyboard for number fields; once a page."""
    st.html(f"<script>{_SCRIPT}</script>", unsafe_allow_javascript=True, width="content")


def number_field(label: str, *, key: str, value: str = "", placeholder: str | None = None) -> str:
    """What was typed, without spaces around it, for services/quantities/typed.py to read."""
    typed = st.text_input(
        label, value=value, placeholder=placeholder, autocomplete="off", key=f"number-{key}"
    )
    return (typed or "").strip()
