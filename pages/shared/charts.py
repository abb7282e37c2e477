"""The charts. Only here do amounts and energy become floats, for a pixel is not a cent."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import altair as alt
import streamlit as st

from pages.shared.format import count, day, kwh, money, month
from services.metering.register_arithmetic import consumption_wh
from services.quantities.money import Money
from services.records.overview import MonthFigures
from services.records.readings import Meter, ReadPoint
from services.supply.place_reads import PlaceRead

_HEIGHT = 260
# Beside a decision, which on a phone stands below it.
_LOW = 230
_EXPECTED = "Expected"
_WHICH = ["Earlier reads", "This reading", _EXPECTED]
# Of a legend of three names, which one line of a phone has no room for.
_COLUMNS = alt.ExprRef("width < 300 ? 2 : 3")
_WHICH_COLORS = ["#0072B2", "#D55E00", "#009E73"]


def billed_and_collected(months: Sequence[MonthFigures], currency: str) -> None:
    """Two bars a month, in major units of one currency."""
    rows = [
        {
            "month": f"{of.month:%b %y}",
            "what": what,
            "amount": float(Decimal(Money(minor, currency).text)),
            "shown": money(minor, currency),
        }
        for of in months
        for what, minor in (("Billed", of.billed_minor), ("Collected", of.collected_minor))
    ]
    order = [f"{of.month:%b %y}" for of in months]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X("month:N", sort=order, title=None, axis=alt.Axis(labelAngle=-45)),
            xOffset=alt.XOffset("what:N", sort=["Billed", "Collected"]),
            y=alt.Y("amount:Q", title=currency, axis=alt.Axis(format="~s", tickCount=4)),
            color=alt.Color(
                "what:N",
                sort=["Billed", "Collected"],
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip("month:N", title="Month"),
                alt.Tooltip("what:N", title=" "),
                alt.Tooltip("shown:N", title="Amount"),
            ],
        )
        .properties(height=_HEIGHT)
    )
    first, last = (month(months[i].month) for i in (0, -1))
    st.altair_chart(chart, alt=f"Billed and collected by month, {first} to {last}, in {currency}")


def daily_use(
    history: Sequence[ReadPoint],
    flagged: ReadPoint | None,
    meter: Meter,
    *,
    expected_daily_wh: tuple[int, int] | None = None,
) -> None:
    """Average daily use between reads, the flagged one (if any) last and in another colour.

    Behind the bars lies the band of uses, in Wh a day, that were expected of the flagged reading.
    """
    reads = [*history, flagged] if flagged else list(history)
    rows = [
        {
            "until": day(closing.read_on),
            "use": float(used) / 1000 / days,
            "shown": f"{kwh(used)} in {count(days, 'day')}",
            "which": "This reading" if closing is flagged else "Earlier reads",
        }
        for opening, closing in pairwise(reads)
        if (days := (closing.read_on - opening.read_on).days) > 0
        for used in [_used(opening, closing, meter)]
    ]
    if not rows:
        st.caption("There is no earlier use to compare with.")
        return
    bars = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X("until:N", sort=None, title=None, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y("use:Q", title="kWh a day", axis=alt.Axis(tickCount=4)),
            color=alt.Color(
                "which:N",
                sort=_WHICH,
                scale=alt.Scale(domain=_WHICH, range=_WHICH_COLORS),
                legend=alt.Legend(title=None, orient="top", columns=_COLUMNS),
            ),
            tooltip=[
                alt.Tooltip("until:N", title="Read on"),
                alt.Tooltip("shown:N", title="Used"),
            ],
        )
    )
    said = "Average daily use between the reads of this meter"
    layers = [bars]
    if expected_daily_wh is not None:
        low, high = expected_daily_wh
        layers.insert(0, _band(low, high))
        said += f"; {_daily(low)} to {_daily(high)} kWh a day were expected"
    st.altair_chart(alt.layer(*layers).properties(height=_LOW), alt=said)


def _band(low_wh: int, high_wh: int) -> alt.Chart:
    """The uses between two, in Wh a day, over the whole width."""
    row = {"low": low_wh / 1000, "high": high_wh / 1000, "which": _EXPECTED}
    row |= {"shown": f"{_daily(low_wh)} to {_daily(high_wh)} kWh a day"}
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(values=[row]))
        .mark_rect(opacity=0.22)
        .encode(
            y=alt.Y("low:Q", title="kWh a day"),
            y2=alt.Y2("high:Q"),
            color=alt.Color("which:N"),
            tooltip=[alt.Tooltip("shown:N", title="Expected")],
        )
    )
    return chart


def _daily(wh: int) -> str:
    return f"{Decimal(wh) / 1000:,.1f}"


def use_between_reads(reads: Sequence[PlaceRead]) -> None:
    """Average daily use at a place up to each read, the newest read last, a colour for a meter."""
    rows = [
        {
            "until": day(of.reading.read_on),
            "use": float(of.used_wh) / 1000 / of.days,
            "shown": f"{kwh(of.used_wh)} in {count(of.days, 'day')}",
            "meter": of.reading.meter_serial,
        }
        for of in reversed(reads)
        if of.used_wh is not None and of.days > 0
    ]
    if not rows:
        st.caption("There is no use between two reads to show yet.")
        return
    meters = list(dict.fromkeys(str(row["meter"]) for row in rows))
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X(
                "until:N", sort=None, title=None, axis=alt.Axis(labelAngle=-45, labelOverlap=True)
            ),
            y=alt.Y("use:Q", title="kWh a day", axis=alt.Axis(tickCount=4)),
            color=alt.Color("meter:N", sort=meters, legend=alt.Legend(title="Meter", orient="top")),
            tooltip=[
                alt.Tooltip("until:N", title="Read on"),
                alt.Tooltip("meter:N", title="Meter"),
                alt.Tooltip("shown:N", title="Used"),
            ],
        )
        .properties(height=_HEIGHT)
    )
    st.altair_chart(
        chart,
        alt="Average daily use between the reads at this place, of meters "
        f"{', '.join(meters)}; the numbers are in the table below",
    )


def _used(opening: ReadPoint, closing: ReadPoint, meter: Meter) -> int:
    return consumption_wh(
        opening_wh=opening.register_wh,
        closing_wh=closing.register_wh,
        dials=meter.dials,
        multiplier_milli=meter.multiplier_milli,
    )
