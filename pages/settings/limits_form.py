"""Which readings are doubted: limits by tariff and season, tried on the last year's readings."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st
from pydantic import ValidationError

from pages.languages.words import _, language, ngettext, say
from pages.settings.settings_form import opened, save
from pages.shared.format import count, escaped
from pages.shared.permitted import submit_button
from pages.shared.session import now, services
from services.identity.auth import Principal
from services.identity.permissions import Permission
from services.languages.sentence import N_
from services.languages.writing import Month
from services.records.use_limits import LimitsFor, ValidationLimits
from services.utility_settings.desk import ShownSettings
from services.utility_settings.model import SENTENCES

_FLAGGED: Final = N_(
    "These limits would have flagged {flagged} of {readings} of {meters} in the last year; the "
    "present ones {flagged_now}."
)
_FLAGGED_OF_SAMPLE: Final = N_(
    "These limits would have flagged {flagged} of {readings} of {meters}, a sample, in the last "
    "year; the present ones {flagged_now}."
)


def ask_limits(principal: Principal) -> None:
    """The limits that there are, and a form for one set of them."""
    form, shown = opened("settings-limits", principal)
    held = shown.held.validation_limits
    names = _tariff_names(principal)
    with st.container(border=True):
        st.markdown(_("**Which readings are looked at**"))
        st.caption(
            _(
                "A reading is compared with the meter's recent use, the same season last year and "
                "how similar meters moved. A meter whose use changes much from month to month gets "
                "more room. Limits of a tariff hold before those of all, limits of some months "
                "before those of the whole year."
            )
        )
        _show(held, names)
        labels = [_("New limits"), *(_label(row, names) for row in held)]
        chosen = st.selectbox(
            _("Limits"), range(len(labels)), format_func=labels.__getitem__, key=f"limits-{form}"
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
            saved = submit_button(_("Save"), Permission.CHANGE_SETTINGS, type="primary")
            tried = st.form_submit_button(_("Try on the last year"))
            removed = at is not None and submit_button(_("Remove"), Permission.CHANGE_SETTINGS)
    others = [row for n, row in enumerate(held) if n != at]
    if removed:
        _save(form, others, shown, principal)
    elif saved or tried:
        try:
            rows = [*others, LimitsFor.model_validate(typed)]
        except ValidationError:
            st.error(say(SENTENCES["validation_limits"]), icon=":material/edit:")
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
                _("For"),
                tariffs,
                index=tariffs.index(row.tariff_id) if row.tariff_id in tariffs else 0,
                format_func=lambda one: names[one] if one else _("All tariffs"),
                key=f"limits-tariff-{key}",
            )
        with grid.cell():
            chosen = st.multiselect(
                _("In the months"),
                range(1, 13),
                default=row.months,
                format_func=_month,
                placeholder=_("All year"),
                key=f"limits-months-{key}",
            )
            typed["months"] = sorted(chosen)
        for name, label, hint in _NUMBERS:
            with grid.cell():
                typed[name] = st.number_input(
                    _(label),
                    value=getattr(row, name),
                    min_value=0,
                    step=1,
                    help=_(hint),
                    key=f"limits-{name}-{key}",
                )
    return typed


_NUMBERS: Final = (
    ("high_percent", N_("High above, % of the highest expectation"), N_("At least 110.")),
    (
        "low_percent",
        N_("Low below, % of the lowest expectation"),
        N_("At most 90; 0 doubts no low use."),
    ),
    ("zero_days", N_("Standing still for so many days"), N_("Of a meter that was used before.")),
    (
        "change_percent",
        N_("Change from the period before, %"),
        N_("100 × the change / the present use. Empty: not used."),
    ),
    (
        "outlier_iqr",
        N_("Interquartile ranges above the median"),
        N_("Above the median of the past year. Empty: not used."),
    ),
)


def _show(held: Sequence[LimitsFor], names: Mapping[str, str]) -> None:
    usual = ValidationLimits()
    if not held:
        st.markdown(
            _(
                "High above {high} %, low below {low} %, standing still for {days}: the limits "
                "that hold without any set here.",
                high=usual.high_percent,
                low=usual.low_percent,
                days=count(usual.zero_days, "day"),
            )
        )
        return
    st.markdown("\n".join(f"- {escaped(_label(row, names))}: {_in_words(row)}" for row in held))


def _in_words(row: LimitsFor) -> str:
    said = [
        _("high above {percent} %", percent=row.high_percent),
        _("low below {percent} %", percent=row.low_percent),
        _("standing still for {days}", days=count(row.zero_days, "day")),
    ]
    if row.change_percent:
        said.append(_("change above {percent} %", percent=row.change_percent))
    if row.outlier_iqr:
        said.append(
            ngettext("{count} interquartile range", "{count} interquartile ranges", row.outlier_iqr)
        )
    return ", ".join(said)


def _label(row: LimitsFor, names: Mapping[str, str]) -> str:
    tariff = (
        names.get(row.tariff_id, _("a tariff of the past")) if row.tariff_id else _("All tariffs")
    )
    return f"{tariff}, {_months(row.months)}"


def _month(number: int) -> str:
    return language().write(Month(number, full=True))


def _months(months: Sequence[int]) -> str:
    return ", ".join(map(_month, months)) or _("all year")


def _tariff_names(principal: Principal) -> dict[str, str]:
    tariffs = services().tariff_publishing.tariffs(principal=principal)
    return {tariff.id: f"{tariff.name} ({tariff.code})" for tariff in tariffs}


def _try(rows: Sequence[LimitsFor], principal: Principal) -> None:
    with st.spinner(_("Judging the last year's readings again.")):
        trial = services().limits_trial.run(rows, principal=principal, now=now())
    if not trial.readings:
        st.info(_("There are no readings of the last year to try these limits on."))
        return
    text = _FLAGGED_OF_SAMPLE if trial.is_sample else _FLAGGED
    st.info(
        _(
            text,
            flagged=trial.flagged,
            readings=count(trial.readings, "reading"),
            meters=count(trial.meters, "meter"),
            flagged_now=trial.flagged_now,
        )
    )
    if trial.examples:
        st.markdown(
            "\n".join(
                [
                    _("Flagged by these alone, for example:"),
                    *(
                        _("- {meter} on {day}", meter=escaped(serial), day=on)
                        for serial, on in trial.examples
                    ),
                ]
            )
        )
