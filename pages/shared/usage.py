"""Thirteen months of use with the year before beside them: a chart, and its numbers as a table."""

from collections.abc import Sequence

import altair as alt
import streamlit as st

from pages.shared.format import grouped, kwh, month
from services.accounts.usage import MeterUse
from services.metering.monthly_use import Billed, MonthOfUse
from services.quantities.energy import format_kwh

_HEIGHT = 260
_SERIES = ("A year earlier", "In the month")


def show_usage(of_meters: Sequence[MeterUse]) -> None:
    """The use of each meter; of several one at a time, which is in the address."""
    st.markdown("**Use in the last 13 months**")
    if not of_meters:
        st.caption("Nothing was billed in these months or the year before them.")
        return
    shown = of_meters[0]
    if len(of_meters) > 1:
        by_serial = {use.meter_serial: use for use in of_meters}
        chosen = st.selectbox("Meter", list(by_serial), key="use-of", bind="query-params")
        shown = by_serial.get(chosen, shown)
    _chart(shown)
    st.caption(
        "As it was billed. A bill that covers several months is spread over them by days; days "
        "that no bill covers yet are left out."
    )
    with st.expander("The numbers", icon=":material/table:", type="compact"):
        st.markdown(_table(shown.months))


def _chart(shown: MeterUse) -> None:
    rows = [
        {
            "month": f"{of.month:%b %y}",
            "what": what,
            "use": float(billed.wh) / 1000,
            "shown": _words(billed, days),
        }
        for of in shown.months
        for what, billed, days in (
            (_SERIES[0], of.year_before, of.days_before),
            (_SERIES[1], of.this_year, of.days),
        )
        if billed.days
    ]
    order = [f"{of.month:%b %y}" for of in shown.months]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X(
                "month:N",
                sort=order,
                scale=alt.Scale(domain=order),
                title=None,
                axis=alt.Axis(labelAngle=-45),
            ),
            xOffset=alt.XOffset("what:N", sort=list(_SERIES)),
            y=alt.Y("use:Q", title="kWh", axis=alt.Axis(format="~s", tickCount=4)),
            color=alt.Color(
                "what:N",
                sort=list(_SERIES),
                scale=alt.Scale(domain=list(_SERIES)),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip("month:N", title="Month"),
                alt.Tooltip("what:N", title=" "),
                alt.Tooltip("shown:N", title="Used"),
            ],
        )
        .properties(height=_HEIGHT)
    )
    first, last = (month(shown.months[at].month) for at in (0, -1))
    st.altair_chart(
        chart,
        alt=f"Use of meter {shown.meter_serial} by month, {first} to {last}, with the year before; "
        "the numbers are in the table below",
    )


def _table(months: Sequence[MonthOfUse]) -> str:
    rows = ["| Month | kWh | A year earlier, kWh |", "|:---|---:|---:|"]
    for of in reversed(months):
        now, before = _cell(of.this_year, of.days), _cell(of.year_before, of.days_before)
        # On a phone a month stays on one line.
        name = month(of.month).replace(" ", "\N{NO-BREAK SPACE}")
        rows.append(f"| {name} | {now} | {before} |")
    return "\n".join(rows)


def _cell(billed: Billed, days: int) -> str:
    if not billed.days:
        return "–"
    value = grouped(format_kwh(billed.wh))
    return value if billed.days >= days else f"{value} ({billed.days} of {days} days)"


def _words(billed: Billed, days: int) -> str:
    partly = "" if billed.days >= days else f", {billed.days} of {days} days"
    return f"{kwh(billed.wh)}{partly}"
