"""Which readings are doubted: limits by tariff and season, tried on the last year's readings."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st
from pydantic import ValidationError

from pages.settings.settings_form import opened, save
from pages.shared.format import day, escaped
from pages.shared.permitted import submit_button
from pages.shared.session import now, services
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.quantities.counting import count
from services.records.use_limits import LimitsFor, ValidationLimits
from services.utility_settings.desk import ShownSettings
from services.utility_settings.model import SENTENCES

MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_ALL: Final = "All tariffs"
_NEW: Final = "New limits"


def ask_limits(principal: Principal) -> None:
    """The limits that there are, and a form for one set of them."""
    form, shown = opened("settings-limits", principal)
    held = shown.held.validation_limits
    names = _tariff_names(principal)
    with st.container(border=True):
        st.markdown("**Which readings are looked at**")
        st.caption(
            "A reading is compared with the meter's recent use, the same season last year and how "
            "similar meters moved. A meter whose use changes much from month to month gets more "
            "room. Limits of a tariff hold before those of all, limits of some months before those "
            "of the whole year."
        )
        _show(held, names)
        labels = [_NEW, *(_label(row, names) for row in held)]
        chosen = st.selectbox(
            "Limits", range(len(labels)), format_func=labels.__getitem__, key=f"limits-{form}"
        )
        at = chosen - 1 if chosen else None
        _ask_one(form, at, names, principal, shown)


def _ask_one(
    form: str, at: int | None, names: Mapping[str, str], principal: Principal, shown: ShownSettings
) -> None:
    held, key = shown.held.validation_limits, f"{form}-{at}"
    with st.form(f"form-{key}", border=False):
        typed = _fields(held[at] if at is not None else LimitsFor(), names, key)
        with st.container(horizontal=True):
            saved = submit_button("Save", Permission.CHANGE_SETTINGS, type="primary")
            tried = st.form_submit_button("Try on the last year")
            removed = at is not None and submit_button("Remove", Permission.CHANGE_SETTINGS)
    others = [row for n, row in enumerate(held) if n != at]
    if removed:
        _save(form, others, shown, principal)
    elif saved or tried:
        try:
            rows = [*others, LimitsFor.model_validate(typed)]
        except ValidationError:
            st.error(SENTENCES["validation_limits"], icon=":material/edit:")
            return
        if saved:
            _save(form, rows, shown, principal)
        else:
            _try(rows, principal)


def _save(form: str, rows: Sequence[LimitsFor], shown: ShownSettings, principal: Principal) -> None:
    body = {"validation_limits": [row.model_dump(mode="json") for row in rows]}
    save("settings-limits", form, body, shown, principal)


def _fields(row: LimitsFor, names: Mapping[str, str], key: str) -> dict[str, Any]:
    """What is typed of one set of limits."""
    typed: dict[str, Any] = {}
    tariffs = [None, *names]
    with st.grid(2, min_column_width=240) as grid:
        with grid.cell():
            typed["tariff_id"] = st.selectbox(
                "For",
                tariffs,
                index=tariffs.index(row.tariff_id) if row.tariff_id in tariffs else 0,
                format_func=lambda one: names[one] if one else _ALL,
                key=f"limits-tariff-{key}",
            )
        with grid.cell():
            chosen = st.multiselect(
                "In the months",
                range(1, 13),
                default=row.months,
                format_func=lambda month: MONTHS[month - 1],
                placeholder="All year",
                key=f"limits-months-{key}",
            )
            typed["months"] = sorted(chosen)
        for name, label, hint in _NUMBERS:
            with grid.cell():
                typed[name] = st.number_input(
                    label,
                    value=getattr(row, name),
                    min_value=0,
                    step=1,
                    help=hint,
                    key=f"limits-{name}-{key}",
                )
    return typed


_NUMBERS: Final = (
    ("high_percent", "High above, % of the highest expectation", "At least 110."),
    ("low_percent", "Low below, % of the lowest expectation", "At most 90; 0 doubts no low use."),
    ("zero_days", "Standing still for so many days", "Of a meter that was used before."),
    (
        "change_percent",
        "Change from the period before, %",
        "100 × the change / the present use. Empty: not used.",
    ),
    (
        "outlier_iqr",
        "Interquartile ranges above the median",
        "Above the median of the past year. Empty: not used.",
    ),
)


def _show(held: Sequence[LimitsFor], names: Mapping[str, str]) -> None:
    usual = ValidationLimits()
    if not held:
        st.markdown(
            f"High above {usual.high_percent} %, low below {usual.low_percent} %, standing still "
            f"for {count(usual.zero_days, 'day')}: the limits that hold without any set here."
        )
        return
    st.markdown(
        "\n".join(
            f"- {escaped(_label(row, names))}: high above {row.high_percent} %, low below "
            f"{row.low_percent} %, standing still for {count(row.zero_days, 'day')}"
            + (f", change above {row.change_percent} %" if row.change_percent else "")
            + (f", {row.outlier_iqr} interquartile ranges" if row.outlier_iqr else "")
            for row in held
        )
    )


def _label(row: LimitsFor, names: Mapping[str, str]) -> str:
    tariff = names.get(row.tariff_id, "a tariff of the past") if row.tariff_id else _ALL
    return f"{tariff}, {_months(row.months)}"


def _months(months: Sequence[int]) -> str:
    return ", ".join(MONTHS[month - 1] for month in months) or "all year"


def _tariff_names(principal: Principal) -> dict[str, str]:
    tariffs = services().tariff_publishing.tariffs(principal=principal)
    return {tariff.id: f"{tariff.name} ({tariff.code})" for tariff in tariffs}


def _try(rows: Sequence[LimitsFor], principal: Principal) -> None:
    with st.spinner("Judging the last year's readings again."):
        trial = services().limits_trial.run(rows, principal=principal, now=now())
    if not trial.readings:
        st.info("There are no readings of the last year to try these limits on.")
        return
    of = f"{count(trial.readings, 'reading')} of {count(trial.meters, 'meter')}"
    sample = ", a sample," if trial.is_sample else ""
    st.info(
        f"These limits would have flagged {trial.flagged:,} of {of}{sample} in the last year; the "
        f"present ones {trial.flagged_now:,}."
    )
    if trial.examples:
        st.markdown(
            "Flagged by these alone, for example:\n"
            + "\n".join(f"- {escaped(serial)} on {day(on)}" for serial, on in trial.examples)
        )
