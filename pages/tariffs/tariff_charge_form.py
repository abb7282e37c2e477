"""One charge of a draft as fields: how it is priced, per what, of what; the rest in words."""

from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from pages.shared.format import escaped
from pages.tariffs.tariff_fields import Form, show_facts
from pages.tariffs.tariff_slab_form import show_slabs
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
    "energy": "Energy",
    "fixed": "Fixed charge",
    "demand": "Demand",
    "power_factor": "Power factor",
    "reactive": "Reactive energy",
    "percent": "Tax or surcharge",
    "minimum": "Minimum",
}
_WAYS: Final = {
    "rate": "One rate",
    "slabs": "Slabs",
    "rates": "By time of use or season",
    "period_slabs": "Slabs by time of use or season",
}
_ENERGY_OF: Final = {
    "kwh": "kWh used",
    "export_kwh": "kWh sent to the grid",
    "kvah": "kVAh",
    "kvarh": "kVArh",
    "settled_kwh": "kWh of surplus paid out",
}
_DEMAND_OF: Final = {"kw": "kW", "kva": "kVA", "kvar": "kVAr"}
_LIMITS_PER: Final = {
    "month": "month",
    "bill": "bill",
    "day": "day",
    "kw": "kW of the bill's peak",
}
_PER: Final = {"bill": "bill", "day": "day", "month": "month"}
_TIMES: Final = {
    "one": "once",
    "connected_kw": "for each kW of connected load",
    "connected_kva": "for each kVA of connected load",
    "billed_kw": "for each kW that is billed",
}
_PRORATION: Final = {"days": "for its days", "none": "a whole month"}
_TIERS: Final = {
    "pooled": "all periods fill them together",
    "per_period": "each period fills its own",
}
# What has fields of its own here, kind by kind; the numbers of all other fields follow.
_IN_FIELDS: Final = (
    *("code", "description", "kind", "rate", "slabs", "rates", "period_slabs", "calendar"),
    *("slab_limits_per", "print", "tiers", "amount", "per", "proration", "times", "percent", "of"),
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
        _ask_of(form, index, "Counted towards it" if kind == "minimum" else "Percent of")
    form.say_wrong(("charges", index))
    form.say_wrong(("charges", index, "code"))
    known = (*_IN_FIELDS, "tax") if kind == "percent" else _IN_FIELDS
    if kind in ("energy", "demand"):
        known = (*known, "quantity")
    show_facts(
        [fact for fact in facts_except(charge, known) if not _is_number(fact.label, form, index)]
    )


def _show_head(form: Form, charge: Mapping[str, Any], index: int) -> None:
    kind = str(charge.get("kind", ""))
    with st.container(horizontal=True, vertical_alignment="center"):
        title = _TITLES.get(kind, in_words(kind).capitalize())
        st.markdown(f"**{escaped(title)}** :gray[:small[{escaped(charge.get('code', ''))}]]")
        edits = {"Remove": remove_charge(index)}
        if index:
            edits = {"Move up": move_charge(index, -1)} | edits
        if index + 1 < len(listed(form.value("charges"))):
            edits = {"Move down": move_charge(index, 1)} | edits
        form.menu(
            "",
            edits,
            name=f"menu-{index}",
            icon=":material/more_horiz:",
            type="tertiary",
            help="Move or remove this charge",
        )
    form.text(("charges", index, "description"), "On the bill")


def _show_price(form: Form, charge: Mapping[str, Any], index: int) -> None:
    path: Path = ("charges", index)
    way = next((one for one in _WAYS if one in charge), "rate")
    energy = charge.get("kind") == "energy"
    with st.grid(2, min_column_width=120) as grid:
        with grid.cell():
            form.choose(
                (*path, "way"), "Priced by", _WAYS, lambda to: price_by(index, to), value=way
            )
        with grid.cell():
            quantity = charge.get("quantity", "kwh" if energy else "kw")
            form.choose(
                (*path, "quantity"),
                "Charged for",
                _ENERGY_OF if energy else _DEMAND_OF,
                lambda to: put((*path, "quantity"), to),
                value=quantity,
            )
        if way == "rate":
            with grid.cell():
                form.number((*path, "rate"), "Rate")
    unit = (_ENERGY_OF if energy else _DEMAND_OF).get(str(quantity), "").split(" ")[0]
    if way == "slabs":
        show_slabs(form, (*path, "slabs"), unit=unit)
    elif way == "rates":
        _show_rates(form, charge, index)
    elif way == "period_slabs":
        for period in mapped(charge.get("period_slabs")):
            show_slabs(form, (*path, "period_slabs", period), unit=unit, within=period)
        if energy:
            form.choose(
                (*path, "tiers"), "Slabs and periods", _TIERS, lambda to: put((*path, "tiers"), to)
            )
    if energy and "slabs" in way:
        _ask_limits(form, path)


def _ask_limits(form: Form, path: Path) -> None:
    with st.grid(2, min_column_width=120, vertical_alignment="bottom") as grid:
        with grid.cell():
            form.choose(
                (*path, "slab_limits_per"),
                "Limits are per",
                _LIMITS_PER,
                lambda to: put((*path, "slab_limits_per"), to),
            )
        with grid.cell():
            form.tick((*path, "print"), "A line for each slab", on="line_per_slab")


def _show_rates(form: Form, charge: Mapping[str, Any], index: int) -> None:
    calendars = {name: in_words(name) for name in mapped(form.value("calendars"))}
    path: Path = ("charges", index)
    with st.grid(2, min_column_width=120) as grid:
        for period in mapped(charge.get("rates")):
            with grid.cell():
                form.number((*path, "rates", period), f"Rate in {in_words(period)}")
        if len(calendars) > 1:
            with grid.cell():
                form.choose(
                    (*path, "calendar"),
                    "Calendar",
                    calendars,
                    lambda to: put((*path, "calendar"), to),
                )
    form.say_wrong((*path, "rates"))


def _show_amount(form: Form, charge: Mapping[str, Any], index: int) -> None:
    path: Path = ("charges", index)
    per = _PER | ({"year": "year"} if charge.get("kind") == "minimum" else {})
    with st.grid(2, min_column_width=120) as grid:
        with grid.cell():
            form.number((*path, "amount"), "Amount")
        with grid.cell():
            form.choose((*path, "per"), "Per", per, lambda to: charged_per(index, to))
        with grid.cell():
            form.choose(
                (*path, "times"),
                "Taken",
                _TIMES,
                lambda to: put((*path, "times"), None if to == "one" else to),
                value=charge.get("times", "one"),
            )
        if charge.get("per") == "month":
            with grid.cell():
                form.choose(
                    (*path, "proration"),
                    "A part of a month pays",
                    _PRORATION,
                    lambda to: put((*path, "proration"), to),
                )


def _show_percent(form: Form, index: int) -> None:
    path: Path = ("charges", index)
    with st.grid(2, min_column_width=120, vertical_alignment="bottom") as grid:
        with grid.cell():
            form.number((*path, "percent"), "Percent")
        with grid.cell():
            form.tick((*path, "tax"), "Counts as a tax")
    _ask_of(form, index, "Percent of")


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
                    form.number(field.path, field.label)


def _is_number(label: str, form: Form, index: int) -> bool:
    """Whether a fact is no more than a number that has a field."""
    fields = number_fields(form.value("charges", index), index)
    return any(field.label == label and len(field.path) == 3 for field in fields)
