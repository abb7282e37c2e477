"""A tariff tried out: the bill of a scenario, what explains it, and what the next kWh costs."""

from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction

import streamlit as st

from pages.bills.bill_card import lines_table
from pages.languages.words import _, language, say
from pages.shared.format import escaped, grouped, money
from pages.tariffs import tariff_charts
from pages.tariffs.tariff_compare import change_in_words
from pages.tariffs.tariff_scenario import ask_use
from services.billing.explain import explain
from services.quantities.money import round_half_up
from services.rating import RatedBill, UnableToPriceBill
from services.tariff_publishing.preview import Curve, Scenario, curve, next_kwh_minor, priced
from services.tariffs import Tariff


@dataclass(frozen=True, slots=True)
class _Trial:
    """A tariff under a scenario; charts look up to `scale` kWh."""

    tariff: Tariff
    scenario: Scenario
    kwh: int
    scale: int

    def bill(self) -> RatedBill:
        return priced(tariff=self.tariff, scenario=self.scenario, wh=self.kwh * 1000)

    def curve(self) -> Curve:
        return curve(tariff=self.tariff, scenario=self.scenario, up_to_kwh=self.scale)


def show_preview(
    tariff: Tariff, *, today: date, key: str, against: tuple[str, Tariff] | None = None
) -> None:
    """Sliders, the bill they make and its charts, beside another version's where one is given."""
    trial = _Trial(tariff, *ask_use(tariff, today=today, key=key))
    try:
        bill, curves = trial.bill(), {_("This version"): trial.curve()}
        _show_figures(trial, bill)
    except UnableToPriceBill as error:
        st.warning(escaped(say(error)), icon=":material/calculate:")
        return
    if against and against[1].currency == tariff.currency:
        name, other = against
        curves |= _beside(name, replace(trial, tariff=other), bill)
    with st.container(border=True):
        st.markdown(_("**The bill**"))
        st.markdown(lines_table(bill), width="stretch")
        with st.expander(_("How it is computed"), type="compact"):
            st.code(explain(bill, language()), language=None, wrap_lines=True)
    with st.container(border=True):
        st.markdown(_("**The bill by kWh**"))
        tariff_charts.totals(curves, currency=tariff.currency, at_kwh=trial.kwh)
    with st.container(border=True):
        st.markdown(_("**The price of the next kWh**"))
        tariff_charts.next_kwh(curves, currency=tariff.currency, at_kwh=trial.kwh)


def _show_figures(trial: _Trial, bill: RatedBill) -> None:
    """The total, what one kWh more costs, and what a kWh costs on average."""
    wh, currency = trial.kwh * 1000, trial.tariff.currency
    more = next_kwh_minor(tariff=trial.tariff, scenario=trial.scenario, wh=wh)
    figures = [
        (_("{energy} kWh cost", energy=grouped(str(trial.kwh))), bill.total_minor),
        (_("One kWh more costs"), more),
    ]
    if trial.kwh:
        average = round_half_up(Fraction(bill.total_minor, trial.kwh))
        figures.append((_("A kWh on average"), average))
    with st.grid(len(figures), min_column_width=125):
        for label, minor in figures:
            st.metric(label, money(minor, currency))


def _beside(name: str, trial: _Trial, bill: RatedBill) -> dict[str, Curve]:
    """Say what the same use costs under another version, and answer its curve."""
    try:
        other, its_curve = trial.bill(), trial.curve()
    except UnableToPriceBill as error:
        st.caption(
            _(
                "{version} cannot be shown beside it. {why}",
                version=escaped(name),
                why=escaped(say(error)),
            )
        )
        return {}
    total = money(other.total_minor, bill.currency)
    change = change_in_words(other.total_minor, bill.total_minor, bill.currency)
    st.caption(
        _(
            "{version}: {amount} for the same use; now {change}.",
            version=escaped(name),
            amount=escaped(total),
            change=escaped(change),
        )
    )
    return {name: its_curve}
