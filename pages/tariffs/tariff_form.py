"""A draft of a tariff as a form: its head, charges, hours and rounding; the rest in words."""

from typing import Final

import streamlit as st

from pages.languages.words import Said, _, language
from pages.tariffs.tariff_calendar_form import show_calendars
from pages.tariffs.tariff_charge_form import show_charge
from pages.tariffs.tariff_draft import WrittenDraft
from pages.tariffs.tariff_fields import Form, show_facts
from pages.tariffs.tariff_names_form import show_names
from pages.tariffs.tariff_net_form import show_net_metering
from services.languages.sentence import N_, P_
from services.tariff_publishing.drafts import Draft, read_draft
from services.tariff_publishing.edits import NEW_KINDS, add_charge, round_total
from services.tariffs.describe import Fact
from services.tariffs.values import listed, mapped
from services.tariffs.version_diff import tariff_facts

_JSON_HEIGHT: Final = 620
_KIND_TO_ADD: Final = {
    "energy": P_("charge", "Energy"),
    "fixed": P_("charge", "Fixed charge"),
    "percent": P_("charge", "Tax or surcharge"),
    "minimum": P_("charge", "Minimum"),
    "demand": P_("charge", "Demand"),
}
_MODES: Final = Said(
    {
        "half_up": N_("to the nearest, half up"),
        "half_even": N_("to the nearest, half to even"),
        "down": N_("down"),
        "up": N_("up"),
    }
)
# Facts of the whole tariff that have fields of their own.
_IN_FIELDS: Final = {
    *(N_("Name"), N_("Currency"), N_("Source"), N_("Net metering"), N_("The total is rounded")),
}


def show_form(written: WrittenDraft, draft: Draft) -> None:
    """All that a form can say of a tariff, and what it cannot, in words."""
    form = Form(written, draft)
    with st.container(border=True):
        _show_head(form)
    charges = listed(form.value("charges"))
    for index, charge in enumerate(charges):
        if isinstance(charge, dict):
            with st.container(border=True, gap="small"):
                show_charge(form, charge, index)
    form.menu(
        _("Add a charge"),
        {language().pgettext("charge", _KIND_TO_ADD[kind]): add_charge(kind) for kind in NEW_KINDS},
        name="add-charge",
        icon=":material/add:",
    )
    show_names(form)
    show_calendars(form)
    show_net_metering(form)
    _show_rounding(form)
    _show_rest(written)


def show_json(written: WrittenDraft, *, expanded: bool) -> None:
    """The same draft as text; it is kept as it is typed, also where it is not JSON."""
    key = f"json-{written.key}"
    st.session_state[key] = written.text
    with st.expander(_("Advanced: the tariff as JSON"), expanded=expanded, icon=":material/code:"):
        st.text_area(
            _("The tariff as JSON"),
            key=key,
            height=_JSON_HEIGHT,
            label_visibility="collapsed",
            on_change=lambda: written.write(st.session_state[key]),
        )
        st.caption(_("The form above and this text are one draft. It is checked with Ctrl+Enter."))
        st.download_button(
            _("Keep a copy"),
            written.text,
            file_name="tariff-draft.json",
            mime="application/json",
            icon=":material/download:",
            on_click="ignore",
        )


def _show_head(form: Form) -> None:
    """A version keeps the code and name of its tariff, which bills show."""
    start = form.written.start
    with st.grid(2, min_column_width=150) as grid:
        if start.version is None:
            with grid.cell():
                form.text(("name",), _("Name"), help=_("What customers read."))
            with grid.cell():
                form.text(
                    ("code",),
                    _("Code"),
                    help=_("Letters, digits, dots and hyphens; imports use it."),
                )
            with grid.cell():
                form.text(("currency",), _("Currency"))
        if not start.corrects:
            with grid.cell():
                form.day(
                    ("effective_from",),
                    _("Effective from"),
                    help=_(
                        "The local date from which it holds. Bills before it keep their version."
                    ),
                )
        with grid.cell():
            form.text(
                ("source",),
                _("Source"),
                optional=True,
                placeholder=_("Such as: order 12/2026"),
            )


def _show_rounding(form: Form) -> None:
    rounding = mapped(form.value("rounding"))
    total = mapped(rounding.get("total"))
    with st.container(border=True), st.grid(2, min_column_width=150) as grid:
        with grid.cell():
            _ask_step(form)
        if total:
            with grid.cell():
                form.choose(
                    ("rounding", "total", "mode"),
                    _("How"),
                    _MODES,
                    lambda mode: round_total(mode=mode),
                    value=total.get("mode", "half_up"),
                )
            with grid.cell():
                form.tick(
                    ("rounding", "total", "carry_forward"),
                    _("The next bill carries the difference"),
                )


def _ask_step(form: Form) -> None:
    form.number(
        ("rounding", "total", "to"),
        _("Round the total to a multiple of"),
        makes=lambda typed: round_total(to=typed or None),
        placeholder=_("the smallest amount"),
    )


def _show_rest(written: WrittenDraft) -> None:
    """What holds for the whole tariff and has no field: it stays as it is."""
    tariff = read_draft(written.usable).tariff
    facts = tariff_facts(tariff) if tariff else ()
    show_facts([fact for fact in facts if not _has_field(fact)])


def _has_field(fact: Fact) -> bool:
    usual = fact.label == "Lines are rounded" and fact.text == "half up to the smallest amount"
    return usual or fact.label in _IN_FIELDS or fact.label.startswith(("Season ", "Calendar "))
