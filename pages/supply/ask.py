"""What each form of a change at a place asks: the day, and what the meter showed."""

from datetime import date
from typing import Final

import streamlit as st

from pages.languages.words import Said, _
from pages.shared.number_field import number_field
from pages.shared.registers import ask_registers
from pages.shared.session import today
from services.languages.sentence import N_
from services.records.supply import Place
from services.supply.changes import TypedRead

_KINDS: Final = Said({"manual": N_("manual"), "smart": N_("smart")})


def ask_day(label: str, form: str) -> date:
    """A local date that has come."""
    return st.date_input(label, today(), max_value=today(), key=f"day-{form}", format="DD/MM/YYYY")


def ask_kind(form: str) -> str:
    """Who reads the new meter: a person, or the head end."""
    return st.selectbox(_("Kind"), list(_KINDS), format_func=_KINDS.__getitem__, key=f"kind-{form}")


def ask_read(label: str, form: str, place: Place) -> TypedRead:
    """The register of the meter that is there, and its further ones."""
    typed = number_field(label, key=f"read-{form}")
    registers = ask_registers_of(place, f"last-{form}")
    st.caption(_("Leave it empty to use the reading that is stored of that day."))
    return TypedRead(typed, registers)


def ask_registers_of(place: Place, key: str) -> dict[str, str]:
    """A field for each further register of the meter that is there; those that were filled in."""
    names = place.meter.registers if place.meter else ()
    if not names:
        return {}
    typed = ask_registers(names, {}, key=key)
    return {name: text for name, text in typed.items() if text.strip()}
