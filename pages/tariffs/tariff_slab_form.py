"""Slabs as rows: up to so many kWh, at which rate."""

import streamlit as st

from pages.languages.words import _
from pages.tariffs.tariff_fields import Form
from services.tariff_publishing.edits import add_slab, remove_slab
from services.tariff_publishing.json_text import Path, path_text
from services.tariffs.values import in_words, listed, mapped

_WIDTHS = (5, 5, 1)


def show_slabs(form: Form, path: Path, *, unit: str, within: str = "") -> None:
    """A row for each slab, the last without a limit, and a button for one more."""
    slabs = listed(form.value(*path))
    with st.container(gap="xxsmall"):
        if within:
            st.markdown(_("In {period}", period=in_words(within)))
        limit, rate, _rest = st.columns(_WIDTHS, wrap=False, gap="xsmall")
        limit.caption(_("Up to {unit}", unit=unit))
        rate.caption(_("Rate per {unit}", unit=unit))
        for index in range(len(slabs)):
            label = (
                _("In {period}: slab {number}", period=in_words(within), number=index + 1)
                if within
                else _("Slab {number}", number=index + 1)
            )
            _show_row(form, path, index, len(slabs), label)
        form.say_wrong(path)
        form.act(
            _("Add a slab"),
            add_slab(path),
            name=f"add-{path_text(path)}",
            icon=":material/add:",
        )


def _show_row(form: Form, path: Path, index: int, slabs: int, label: str) -> None:
    here = (*path, index)
    demand = form.value(*path[:2], "kind") == "demand"
    bound, unit = ("up_to_kw", "kW") if demand else ("up_to_kwh", "kWh")
    limit, rate, remove = st.columns(_WIDTHS, wrap=False, gap="xsmall", vertical_alignment="center")
    with limit:
        if index + 1 < slabs or bound in mapped(form.value(*here)):
            form.number(
                (*here, bound),
                _("{slab}: up to {unit}", slab=label, unit=unit),
                label_visibility="collapsed",
                said=False,
            )
        else:
            _show_rest(form, path, index, bound, label)
    with rate:
        form.number(
            (*here, "rate"),
            _("{slab}: rate", slab=label),
            label_visibility="collapsed",
            said=False,
        )
    with remove:
        form.act(
            "",
            remove_slab(path, index),
            name=f"remove-{path_text(here)}",
            icon=":material/close:",
            help=_("Remove slab {number}", number=index + 1),
            disabled=slabs == 1,
        )
    form.say_wrong_in([here, (*here, bound), (*here, "rate")])


def _show_rest(form: Form, path: Path, index: int, bound: str, label: str) -> None:
    before = form.value(*path, index - 1, bound) if index else None
    key = f"{form.written.key}-rest-{path_text(path)}"
    st.session_state[key] = _("above {before}", before=before) if before else _("the rest")
    st.text_input(
        _("{slab}: the rest", slab=label), key=key, disabled=True, label_visibility="collapsed"
    )
