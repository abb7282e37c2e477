"""Thirteen months of use with the year before beside them: a chart, and its numbers as a table."""

from collections.abc import Sequence

import altair as alt
import streamlit as st

from pages.languages.addresses import select_name
from pages.languages.words import _, language
from pages.shared.format import grouped, kwh, month
from services.accounts.usage import MeterUse
from services.metering.monthly_use import Billed, MonthOfUse
from services.quantities.energy import format_kwh

_HEIGHT = 260


def show_usage(of_meters: Sequence[MeterUse]) -> None:
    """The use of each meter; of several one at a time, which is in the address."""
    st.markdown(_("**Use in the last 13 months**"))
    if not of_meters:
        st.caption(_("Nothing was billed in these months or the year before them."))
        return
    shown = of_meters[0]
    if len(of_meters) > 1:
        by_serial = {use.meter_serial: use for use in of_meters}
        chosen = select_name(
            _("Meter"), list(by_serial), key="use-of", default=next(iter(by_serial))
        )
        shown = by_serial.get(chosen or "", shown)
    _chart(shown)
    st.caption(
        _(
            "As it was billed. A bill that covers several months is spread over them by days; days "
            "that no bill covers yet are left out."
        )
    )
    with st.expander(_("The numbers"), icon=":material/table:", type="compact"):
        st.markdown(_table(shown.months))


def _chart(shown: MeterUse) -> None:
    series = [_("A year earlier"), _("In the month")]
    rows = [
        {
            "month": language().short_month(of.month),
            "what": what,
            "use": float(billed.wh) / 1000,
            "shown": _words(billed, days),
        }
        for of in shown.months
        for what, billed, days in (
            (series[0], of.year_before, of.days_before),
            (series[1], of.this_year, of.days),
        )
        if billed.days
    ]
    order = [language().short_month(of.month) for of in shown.months]
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
            xOffset=alt.XOffset("what:N", sort=series),
            y=alt.Y("use:Q", title="kWh", axis=alt.Axis(format="~s", tickCount=4)),
            color=alt.Color(
                "what:N",
                sort=series,
                scale=alt.Scale(domain=series),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip("month:N", title=_("Month")),
                alt.Tooltip("what:N", title=" "),
                alt.Tooltip("shown:N", title=_("Used")),
            ],
        )
        .properties(height=_HEIGHT)
    )
    first, last = (month(shown.months[at].month) for at in (0, -1))
    st.altair_chart(
        chart,
        alt=_(
            "Use of meter {meter} by month, {first} to {last}, with the year before; the numbers "
            "are in the table below",
            meter=shown.meter_serial,
            first=first,
            last=last,
        ),
    )


def _table(months: Sequence[MonthOfUse]) -> str:
    rows = [_("| Month | kWh | A year earlier, kWh |"), "|:---|---:|---:|"]
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
    if billed.days >= days:
        return value
    return _("{value} ({billed} of {days} days)", value=value, billed=billed.days, days=days)


def _words(billed: Billed, days: int) -> str:
    if billed.days >= days:
        return kwh(billed.wh)
    return _(
        "{value}, {billed} of {days} days", value=kwh(billed.wh), billed=billed.days, days=days
    )
