"""Slabs as rows: up to so many kWh, at which rate."""

import streamlit as st

from pages.tariffs.tariff_fields import Form
from services.tariff_publishing.edits import add_slab, remove_slab
from services.tariff_publishing.json_text import Path, path_text
from services.tariffs.values import in_words, listed, mapped

_WIDTHS = (5, 5, 1)


def show_slabs(form: Form, path: Path, *, unit: str, within: str = "") -> None:
    """A row for each slab, the last without a limit, and a button for one more."""
    slabs = listed(form.value(*path))
    period = f"In {in_words(within)}: " if within else ""
    with st.container(gap="xxsmall"):
        if within:
            st.markdown(f"In {in_words(within)}")
        limit, rate, _ = st.columns(_WIDTHS, wrap=False, gap="xsmall")
        limit.caption(f"Up to {unit}")
        rate.caption(f"Rate per {unit}")
        for index in range(len(slabs)):
            _show_row(
                form, path, index, len(slabs), f"{period}{'s' if period else 'S'}lab {index + 1}"
            )
        form.say_wrong(path)
        form.act("Add a slab", add_slab(path), name=f"add-{path_text(path)}", icon=":material/add:")


def _show_row(form: Form, path: Path, index: int, slabs: int, label: str) -> None:
    here = (*path, index)
    demand = form.value(*path[:2], "kind") == "demand"
    bound, unit = ("up_to_kw", "kW") if demand else ("up_to_kwh", "kWh")
    limit, rate, remove = st.columns(_WIDTHS, wrap=False, gap="xsmall", vertical_alignment="center")
    with limit:
        if index + 1 < slabs or bound in mapped(form.value(*here)):
            form.number(
                (*here, bound), f"{label}: up to {unit}", label_visibility="collapsed", said=False
            )
        else:
            _show_rest(form, path, index, bound, label)
    with rate:
        form.number((*here, "rate"), f"{label}: rate", label_visibility="collapsed", said=False)
    with remove:
        form.act(
            "",
            remove_slab(path, index),
            name=f"remove-{path_text(here)}",
            icon=":material/close:",
            help=f"Remove {label[0].lower()}{label[1:]}",
            disabled=slabs == 1,
        )
    form.say_wrong_in([here, (*here, bound), (*here, "rate")])


def _show_rest(form: Form, path: Path, index: int, bound: str, label: str) -> None:
    before = form.value(*path, index - 1, bound) if index else None
    key = f"{form.written.key}-rest-{path_text(path)}"
    st.session_state[key] = f"above {before}" if before else "the rest"
    st.text_input(f"{label}: the rest", key=key, disabled=True, label_visibility="collapsed")
