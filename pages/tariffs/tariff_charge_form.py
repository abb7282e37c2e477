"""One charge of a draft as fields: how it is priced, per what, of what; the rest in words."""

from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from pages.languages.words import Said, _, language, say
from pages.shared.format import escaped
from pages.tariffs.tariff_fields import Form, show_facts
from pages.tariffs.tariff_slab_form import show_slabs
from services.languages.sentence import N_, P_
from services.tariff_publishing.drafts import number_fields
from services.tariff_publishing.edits import (
    charged_per,
    move_charge,
    price_by,
    put,
    remove_charge,
)
from services.tariff_publishing.json_text import Path
from services.tariffs.describe import facts_except
from services.tariffs.values import in_words, listed, mapped

_TITLES: Final = {
    "energy": P_("charge", "Energy"),
    "fixed": P_("charge", "Fixed charge"),
    "demand": P_("charge", "Demand"),
    "power_factor": P_("charge", "Power factor"),
    "reactive": P_("charge", "Reactive energy"),
    "percent": P_("charge", "Tax or surcharge"),
    "minimum": P_("charge", "Minimum"),
}
_WAYS: Final = Said(
    {
        "rate": N_("One rate"),
        "slabs": N_("Slabs"),
        "rates": N_("By time of use or season"),
        "period_slabs": N_("Slabs by time of use or season"),
    }
)
_ENERGY_OF: Final = Said(
    {
        "kwh": N_("kWh used"),
        "export_kwh": N_("kWh sent to the grid"),
        "kvah": "kVAh",
        "kvarh": "kVArh",
        "settled_kwh": N_("kWh of surplus paid out"),
    }
)
_UNITS: Final = {
    "kwh": "kWh",
    "export_kwh": "kWh",
    "kvah": "kVAh",
    "kvarh": "kVArh",
    "settled_kwh": "kWh",
    "kw": "kW",
    "kva": "kVA",
    "kvar": "kVAr",
}
_DEMAND_OF: Final = Said({"kw": "kW", "kva": "kVA", "kvar": "kVAr"})
_LIMITS_PER: Final = Said(
    {
        "month": N_("month"),
        "bill": N_("bill"),
        "day": N_("day"),
        "kw": N_("kW of the bill's peak"),
    }
)
_PER: Final = Said({"bill": N_("bill"), "day": N_("day"), "month": N_("month")})
_TIMES: Final = Said(
    {
        "one": N_("once"),
        "connected_kw": N_("for each kW of connected load"),
        "connected_kva": N_("for each kVA of connected load"),
        "billed_kw": N_("for each kW that is billed"),
    }
)
_PRORATION: Final = Said({"days": N_("for its days"), "none": N_("a whole month")})
_TIERS: Final = Said(
    {
        "pooled": N_("all periods fill them together"),
        "per_period": N_("each period fills its own"),
    }
)
# What has fields of its own here, kind by kind; the numbers of all other fields follow.
_IN_FIELDS: Final = (
    *("code", "description", "kind", "rate", "slabs", "rates", "period_slabs", "calendar"),
    *("slab_limits_per", "print", "tiers", "amount", "per", "proration", "times", "percent", "of"),
    "names",
)


def show_charge(form: Form, charge: Mapping[str, Any], index: int) -> None:
    """The fields of one charge."""
    kind = charge.get("kind")
    _show_head(form, charge, index)
    if kind in ("energy", "demand"):
        _show_price(form, charge, index)
    elif kind in ("fixed", "minimum"):
        _show_amount(form, charge, index)
    elif kind == "percent":
        _show_percent(form, index)
    _show_other_numbers(form, charge, index)
    if kind in ("minimum", "power_factor"):
        _ask_of(form, index, _("Counted towards it") if kind == "minimum" else _("Percent of"))
    form.say_wrong(("charges", index))
    form.say_wrong(("charges", index, "code"))
    form.say_wrong(("charges", index, "names"))
    known = (*_IN_FIELDS, "tax") if kind == "percent" else _IN_FIELDS
    if kind in ("energy", "demand"):
        known = (*known, "quantity")
    show_facts(
        [fact for fact in facts_except(charge, known) if not _is_number(fact.label, form, index)]
    )


def _show_head(form: Form, charge: Mapping[str, Any], index: int) -> None:
    kind = str(charge.get("kind", ""))
    with st.container(horizontal=True, vertical_alignment="center"):
        title = _TITLES.get(kind)
        title = language().pgettext("charge", title) if title else in_words(kind).capitalize()
        st.markdown(f"**{escaped(title)}** :gray[:small[{escaped(charge.get('code', ''))}]]")
        edits = {_("Remove"): remove_charge(index)}
        if index:
            edits = {_("Move up"): move_charge(index, -1)} | edits
        if index + 1 < len(listed(form.value("charges"))):
            edits = {_("Move down"): move_charge(index, 1)} | edits
        form.menu(
            "",
            edits,
            name=f"menu-{index}",
            icon=":material/more_horiz:",
            type="tertiary",
            help=_("Move or remove this charge"),
        )
    form.text(("charges", index, "description"), _("On the bill"))


def _show_price(form: Form, charge: Mapping[str, Any], index: int) -> None:
    path: Path = ("charges", index)
    way = next((one for one in _WAYS if one in charge), "rate")
    energy = charge.get("kind") == "energy"
    with st.grid(2, min_column_width=120) as grid:
        with grid.cell():
            form.choose(
                (*path, "way"), _("Priced by"), _WAYS, lambda to: price_by(index, to), value=way
            )
        with grid.cell():
            quantity = charge.get("quantity", "kwh" if energy else "kw")
            form.choose(
                (*path, "quantity"),
                _("Charged for"),
                _ENERGY_OF if energy else _DEMAND_OF,
                lambda to: put((*path, "quantity"), to),
                value=quantity,
            )
        if way == "rate":
            with grid.cell():
                form.number((*path, "rate"), _("Rate"))
    unit = _UNITS.get(str(quantity), "")
    if way == "slabs":
        show_slabs(form, (*path, "slabs"), unit=unit)
    elif way == "rates":
        _show_rates(form, charge, index)
    elif way == "period_slabs":
        for period in mapped(charge.get("period_slabs")):
            show_slabs(form, (*path, "period_slabs", period), unit=unit, within=period)
        if energy:
            form.choose(
                (*path, "tiers"),
                _("Slabs and periods"),
                _TIERS,
                lambda to: put((*path, "tiers"), to),
            )
    if energy and "slabs" in way:
        _ask_limits(form, path)


def _ask_limits(form: Form, path: Path) -> None:
    with st.grid(2, min_column_width=120, vertical_alignment="bottom") as grid:
        with grid.cell():
            form.choose(
                (*path, "slab_limits_per"),
                _("Limits are per"),
                _LIMITS_PER,
                lambda to: put((*path, "slab_limits_per"), to),
            )
        with grid.cell():
            form.tick((*path, "print"), _("A line for each slab"), on="line_per_slab")


def _show_rates(form: Form, charge: Mapping[str, Any], index: int) -> None:
    calendars = {name: in_words(name) for name in mapped(form.value("calendars"))}
    path: Path = ("charges", index)
    with st.grid(2, min_column_width=120) as grid:
        for period in mapped(charge.get("rates")):
            with grid.cell():
                form.number(
                    (*path, "rates", period), _("Rate in {period}", period=in_words(period))
                )
        if len(calendars) > 1:
            with grid.cell():
                form.choose(
                    (*path, "calendar"),
                    _("Calendar"),
                    calendars,
                    lambda to: put((*path, "calendar"), to),
                )
    form.say_wrong((*path, "rates"))


def _show_amount(form: Form, charge: Mapping[str, Any], index: int) -> None:
    path: Path = ("charges", index)
    per = dict(_PER) | ({"year": _("year")} if charge.get("kind") == "minimum" else {})
    with st.grid(2, min_column_width=120) as grid:
        with grid.cell():
            form.number((*path, "amount"), _("Amount"))
        with grid.cell():
            form.choose((*path, "per"), _("Per"), per, lambda to: charged_per(index, to))
        with grid.cell():
            form.choose(
                (*path, "times"),
                _("Charged"),
                _TIMES,
                lambda to: put((*path, "times"), None if to == "one" else to),
                value=charge.get("times", "one"),
            )
        if charge.get("per") == "month":
            with grid.cell():
                form.choose(
                    (*path, "proration"),
                    _("A part of a month pays"),
                    _PRORATION,
                    lambda to: put((*path, "proration"), to),
                )


def _show_percent(form: Form, index: int) -> None:
    path: Path = ("charges", index)
    with st.grid(2, min_column_width=120, vertical_alignment="bottom") as grid:
        with grid.cell():
            form.number((*path, "percent"), _("Percent"))
        with grid.cell():
            form.tick((*path, "tax"), _("Counts as a tax"))
    _ask_of(form, index, _("Percent of"))


def _ask_of(form: Form, index: int, label: str) -> None:
    others = {
        str(charge.get("code")): str(charge.get("description") or charge.get("code"))
        for position, charge in enumerate(map(mapped, listed(form.value("charges"))))
        if position != index
    }
    form.choose_many(("charges", index, "of"), label, others)


def _show_other_numbers(form: Form, charge: Mapping[str, Any], index: int) -> None:
    """Numbers of conditions, ratchets, steps and bounds, as many as the charge has."""
    fields = [field for field in number_fields(charge, index) if field.path[2] not in _IN_FIELDS]
    if fields:
        with st.grid(2, min_column_width=120) as grid:
            for field in fields:
                with grid.cell():
                    form.number(field.path, say(field.label))


def _is_number(label: str, form: Form, index: int) -> bool:
    """Whether a fact is no more than a number that has a field."""
    fields = number_fields(form.value("charges", index), index)
    return any(field.label == label and len(field.path) == 3 for field in fields)
