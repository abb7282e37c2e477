"""The charts. Only here do amounts and energy become floats, for a pixel is not a cent."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import altair as alt
import streamlit as st

from pages.languages.words import _, language
from pages.shared.format import count, day, grouped, kwh, money, month
from services.metering.register_arithmetic import consumption_wh
from services.quantities.money import Money
from services.records.overview import MonthFigures
from services.records.readings import Meter, ReadPoint
from services.supply.place_reads import PlaceRead

_HEIGHT = 260
# Beside a decision, which on a phone stands below it.
_LOW = 230
# Of a legend of three names, which one line of a phone has no room for.
_COLUMNS = alt.ExprRef("width < 300 ? 2 : 3")
_WHICH_COLORS = ["#0072B2", "#D55E00", "#009E73"]


def billed_and_collected(months: Sequence[MonthFigures], currency: str) -> None:
    """Two bars a month, in major units of one currency."""
    billed, collected = _("Billed"), _("Collected")
    rows = [
        {
            "month": language().short_month(of.month),
            "what": what,
            "amount": float(Decimal(Money(minor, currency).text)),
            "shown": money(minor, currency),
        }
        for of in months
        for what, minor in ((billed, of.billed_minor), (collected, of.collected_minor))
    ]
    order = [language().short_month(of.month) for of in months]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X("month:N", sort=order, title=None, axis=alt.Axis(labelAngle=-45)),
            xOffset=alt.XOffset("what:N", sort=[billed, collected]),
            y=alt.Y("amount:Q", title=currency, axis=alt.Axis(format="~s", tickCount=4)),
            color=alt.Color(
                "what:N",
                sort=[billed, collected],
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip("month:N", title=_("Month")),
                alt.Tooltip("what:N", title=" "),
                alt.Tooltip("shown:N", title=_("Amount")),
            ],
        )
        .properties(height=_HEIGHT)
    )
    first, last = (month(months[i].month) for i in (0, -1))
    st.altair_chart(
        chart,
        alt=_(
            "Billed and collected by month, {first} to {last}, in {currency}",
            first=first,
            last=last,
            currency=currency,
        ),
    )


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
    which = [_("Earlier reads"), _("This reading"), _("Expected")]
    rows = [
        {
            "until": day(closing.read_on),
            "use": float(used) / 1000 / days,
            "shown": _("{energy} in {time}", energy=kwh(used), time=count(days, "day")),
            "which": which[1 if closing is flagged else 0],
        }
        for opening, closing in pairwise(reads)
        if (days := (closing.read_on - opening.read_on).days) > 0
        for used in [_used(opening, closing, meter)]
    ]
    if not rows:
        st.caption(_("There is no earlier use to compare with."))
        return
    bars = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X("until:N", sort=None, title=None, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y("use:Q", title=_("kWh a day"), axis=alt.Axis(tickCount=4)),
            color=alt.Color(
                "which:N",
                sort=which,
                scale=alt.Scale(domain=which, range=_WHICH_COLORS),
                legend=alt.Legend(title=None, orient="top", columns=_COLUMNS),
            ),
            tooltip=[
                alt.Tooltip("until:N", title=_("Read on")),
                alt.Tooltip("shown:N", title=_("Used")),
            ],
        )
    )
    said = _("Average daily use between the reads of this meter")
    layers = [bars]
    if expected_daily_wh is not None:
        low, high = expected_daily_wh
        layers.insert(0, _band(low, high, which[2]))
        said = _(
            "Average daily use between the reads of this meter; {low} to {high} kWh a day were "
            "expected",
            low=_daily(low),
            high=_daily(high),
        )
    st.altair_chart(alt.layer(*layers).properties(height=_LOW), alt=said)


def _band(low_wh: int, high_wh: int, name: str) -> alt.Chart:
    """The uses between two, in Wh a day, over the whole width."""
    row = {"low": low_wh / 1000, "high": high_wh / 1000, "which": name}
    row |= {"shown": _("{low} to {high} kWh a day", low=_daily(low_wh), high=_daily(high_wh))}
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(values=[row]))
        .mark_rect(opacity=0.22)
        .encode(
            y=alt.Y("low:Q", title=_("kWh a day")),
            y2=alt.Y2("high:Q"),
            color=alt.Color("which:N"),
            tooltip=[alt.Tooltip("shown:N", title=name)],
        )
    )
    return chart


def _daily(wh: int) -> str:
    return grouped(f"{Decimal(wh) / 1000:.1f}")


def use_between_reads(reads: Sequence[PlaceRead]) -> None:
    """Average daily use at a place up to each read, the newest read last, a colour for a meter."""
    rows = [
        {
            "until": day(of.reading.read_on),
            "use": float(of.used_wh) / 1000 / of.days,
            "shown": _("{energy} in {time}", energy=kwh(of.used_wh), time=count(of.days, "day")),
            "meter": of.reading.meter_serial,
        }
        for of in reversed(reads)
        if of.used_wh is not None and of.days > 0
    ]
    if not rows:
        st.caption(_("There is no use between two reads to show yet."))
        return
    meters = list(dict.fromkeys(str(row["meter"]) for row in rows))
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X(
                "until:N", sort=None, title=None, axis=alt.Axis(labelAngle=-45, labelOverlap=True)
            ),
            y=alt.Y("use:Q", title=_("kWh a day"), axis=alt.Axis(tickCount=4)),
            color=alt.Color(
                "meter:N", sort=meters, legend=alt.Legend(title=_("Meter"), orient="top")
            ),
            tooltip=[
                alt.Tooltip("until:N", title=_("Read on")),
                alt.Tooltip("meter:N", title=_("Meter")),
                alt.Tooltip("shown:N", title=_("Used")),
            ],
        )
        .properties(height=_HEIGHT)
    )
    st.altair_chart(
        chart,
        alt=_(
            "Average daily use between the reads at this place, of meters {meters}; the numbers "
            "are in the table below",
            meters=", ".join(meters),
        ),
    )


def _used(opening: ReadPoint, closing: ReadPoint, meter: Meter) -> int:
    return consumption_wh(
        opening_wh=opening.register_wh,
        closing_wh=closing.register_wh,
        dials=meter.dials,
        multiplier_milli=meter.multiplier_milli,
    )
