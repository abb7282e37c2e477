"""Net metering as fields: what happens to energy that customers send to the grid."""

from typing import Final

import streamlit as st

from pages.languages.words import Said, _
from pages.tariffs.tariff_fields import Form
from services.languages.sentence import N_
from services.languages.writing import Month
from services.tariff_publishing.edits import net_metering, put
from services.tariffs.values import mapped

_NONE: Final = "none"
_NEVER: Final = "never"
_WAYS: Final = Said(
    {
        _NONE: N_("not netted"),
        "paid": N_("netted, surplus paid"),
        "lapses": N_("netted, surplus lapses"),
    }
)
_OFFSETS: Final = Said(
    {
        "own_period": N_("its own hours only"),
        "all_periods": N_("other hours too"),
    }
)


def show_net_metering(form: Form) -> None:
    """Whether exported kWh are netted, when the bank is settled, and what a surplus offsets."""
    rule = mapped(form.value("net_metering"))
    with st.container(border=True), st.grid(2, min_column_width=150) as grid:
        with grid.cell():
            form.choose(
                ("net_metering", "surplus"),
                _("Energy sent to the grid"),
                _WAYS,
                lambda way: net_metering(None if way == _NONE else way),
                value=rule.get("surplus", _NONE),
                help=_(
                    "Netted: what is sent to the grid offsets what is used, in kWh. A surplus is "
                    "banked for later bills; once settled it is paid out, or lapses."
                ),
            )
            form.say_wrong(("net_metering",))
        if rule:
            with grid.cell():
                _ask_month(form, rule.get("settled_in"))
        if rule and form.value("calendars"):
            with grid.cell():
                form.choose(
                    ("net_metering", "offsets"),
                    _("A surplus offsets"),
                    _OFFSETS,
                    lambda to: put(("net_metering", "offsets"), to),
                    value=rule.get("offsets", "own_period"),
                )


def _ask_month(form: Form, month: object) -> None:
    months = {_NEVER: _("when moving out")}
    months |= {
        str(number): _("with {month}", month=Month(number, full=True)) for number in range(1, 13)
    }
    form.choose(
        ("net_metering", "settled_in"),
        _("The bank of kWh is settled"),
        months,
        lambda to: put(("net_metering", "settled_in"), None if to == _NEVER else int(to)),
        value=_NEVER if month is None else str(month),
        help=_(
            "The bill that has the last day of this month settles what is banked. A final bill "
            "always does."
        ),
    )
