"""The charts of tariffs; as in charts.py, only here do amounts and energy become floats."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import altair as alt
import pandas as pd
import streamlit as st

from pages.languages.words import _
from pages.shared.format import count
from services.quantities.money import Money, exponent, round_half_up, scaled_text, with_minus_signs
from services.tariff_publishing.bill_impact import Bin
from services.tariff_publishing.preview import Curve

_HEIGHT: Final = 240
_LEGEND: Final = alt.Legend(title=None, orient="top", symbolType="stroke")


def totals(curves: Mapping[str, Curve], *, currency: str, at_kwh: int) -> None:
    """What is billed by kWh, a line for each named curve."""
    points = [
        (name, kwh, Money(minor, currency).text)
        for name, curve in curves.items()
        for kwh, minor in zip(curve.kwh, curve.total_minor, strict=True)
    ]
    chart = _lines(points, list(curves), at_kwh, title=currency, interpolate="linear")
    st.altair_chart(chart, alt=_("The bill by kWh, in {currency}", currency=currency))


def next_kwh(curves: Mapping[str, Curve], *, currency: str, at_kwh: int) -> None:
    """What a further kWh costs, by the kWh used before it."""
    points = [
        (name, kwh, _price(minor, currency))
        for name, curve in curves.items()
        for kwh, minor in zip(curve.nexts_kwh, curve.nexts, strict=True)
    ]
    title = _("{currency} per kWh", currency=currency)
    chart = _lines(points, list(curves), at_kwh, title=title, interpolate="step-after")
    st.altair_chart(chart, alt=_("The price of the next kWh, in {currency}", currency=currency))


def distribution(bins: Sequence[Bin], *, currency: str) -> None:
    """How many bills change by how much; those that get cheaper are to the left."""
    rows = [
        {
            "order": position,
            "change": _range(one, currency),
            "bills": one.bills,
            "shown": count(one.bills, "bill"),
            "which": _which(one),
        }
        for position, one in enumerate(bins)
    ]
    names = [_("Less"), _("The same"), _("More")]
    chart = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_bar(cornerRadiusTopLeft=2, cornerRadiusTopRight=2)
        .encode(
            x=alt.X(
                "change:N",
                sort=[str(row["change"]) for row in rows],
                title=None,
                axis=alt.Axis(labelAngle=-45, labelLimit=110),
            ),
            y=alt.Y("bills:Q", title=_("Bills"), axis=alt.Axis(tickCount=4, tickMinStep=1)),
            color=alt.Color(
                "which:N",
                sort=names,
                scale=alt.Scale(domain=names, range=["#009E73", "#8A99A3", "#D55E00"]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip("change:N", title=_("Change")),
                alt.Tooltip("shown:N", title=" "),
            ],
        )
        .properties(height=_HEIGHT)
    )
    said = _("How many bills change by how much, in {currency}", currency=currency)
    st.altair_chart(chart, alt=said)


def _lines(
    points: Sequence[tuple[str, int, str]],
    names: Sequence[str],
    at_kwh: int,
    *,
    title: str,
    interpolate: Any,
) -> alt.LayerChart | alt.FacetChart:
    """Lines over kWh, by name, and where the slider stands; a data frame is quickest to draw."""
    frame = pd.DataFrame(points, columns=["which", "kwh", "shown"])
    frame["amount"] = frame["shown"].astype(float)
    # Points that nobody sees catch the pointer.
    catch = alt.OverlayMarkDef(opacity=0, size=80, aria=False)
    lines = (
        alt.Chart()
        .mark_line(interpolate=interpolate, point=catch)
        .encode(
            x=alt.X("kwh:Q", title="kWh", axis=alt.Axis(tickCount=5)),
            y=alt.Y("amount:Q", title=title, axis=alt.Axis(tickCount=4)),
            color=alt.Color(
                "which:N",
                sort=list(names),
                legend=_LEGEND if len(names) > 1 else None,
            ),
            strokeDash=alt.StrokeDash(
                "which:N", sort=list(names), legend=None, scale=alt.Scale(range=[[1, 0], [6, 4]])
            ),
            tooltip=[
                alt.Tooltip("kwh:Q", title="kWh"),
                alt.Tooltip("shown:N", title=title),
                alt.Tooltip("which:N", title=" "),
            ],
        )
    )
    # With data of its own, or it is drawn once for every point.
    here = (
        alt.Chart(alt.InlineData(values=[{}]))
        .mark_rule(strokeDash=[4, 4])
        .encode(x=alt.datum(at_kwh))
    )
    return alt.layer(lines, here, data=frame, height=_HEIGHT)


def _price(minor: Fraction, currency: str) -> str:
    """A price per kWh with one decimal more than the currency has."""
    price = scaled_text(round_half_up(minor * 10), places=exponent(currency) + 1)
    return with_minus_signs(price)


def _range(one: Bin, currency: str) -> str:
    if not one.low_minor and not one.high_minor:
        return _("no change")
    low, high = (Money(minor, currency).text for minor in (one.low_minor, one.high_minor))
    return _("{low} to {high}", low=low, high=high)


def _which(one: Bin) -> str:
    if one.low_minor == one.high_minor:
        return _("The same")
    return _("More") if one.low_minor >= 0 else _("Less")
