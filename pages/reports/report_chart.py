"""The chart of a report: bars of one amount. Here alone amounts become floats, for pixels."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import altair as alt
import streamlit as st

from pages.languages.words import _
from pages.reports.columns import column_name
from pages.reports.report_table import cell_text
from pages.shared.format import money
from services.quantities.money import Money
from services.reports.definitions import Chart, Report, Row

_HEIGHT: Final = 260
_MOST_BARS: Final = 24


def show_chart(report: Report, chart: Chart, rows: Sequence[Row]) -> None:
    """Bars of each currency; those with the most where there are many."""
    by, amount = report.header.index(chart.by), report.header.index(chart.amount)
    part = report.header.index(chart.stacked) if chart.stacked else by
    sums: dict[str, dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        cell = row[amount]
        if isinstance(cell, Money):
            sums[cell.currency][cell_text(row[by]), cell_text(row[part])] += cell.minor
    for currency, of in sums.items():
        _show_bars(report, chart, currency, of)


def _show_bars(
    report: Report, chart: Chart, currency: str, sums: dict[tuple[str, str], int]
) -> None:
    names = list(dict.fromkeys(name for name, _ in sums))[-_MOST_BARS:]
    rows = [
        {
            "name": name,
            "part": part,
            "amount": float(Decimal(Money(minor, currency).text)),
            "shown": money(minor, currency),
        }
        for (name, part), minor in sums.items()
        if name in names
    ]
    bars = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X("name:N", sort=names, title=None, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y("amount:Q", title=currency, axis=alt.Axis(format="~s", tickCount=4)),
            tooltip=[
                alt.Tooltip("name:N", title=" "),
                *([alt.Tooltip("part:N", title=" ")] if chart.stacked else []),
                alt.Tooltip("shown:N", title=_amount_name(report, chart)),
            ],
        )
        .properties(height=_HEIGHT)
    )
    if chart.stacked:
        legend = alt.Legend(title=None, orient="top")
        bars = bars.encode(color=alt.Color("part:N", legend=legend))
    shown = _(
        "{report}: {amount} in {currency}",
        report=_(report.title),
        amount=_amount_name(report, chart),
        currency=currency,
    )
    st.altair_chart(bars, alt=shown)


def _amount_name(report: Report, chart: Chart) -> str:
    return next(column_name(c) for c in report.columns if c.name == chart.amount)
