"""What the preview of a tariff supposes: the month, the kWh, and what else the tariff needs."""

from datetime import date

import streamlit as st

from pages.languages.words import _, language, say
from pages.shared.format import escaped, grouped, month
from pages.shared.number_field import number_field
from services.quantities.energy import InvalidEnergy
from services.quantities.period import Period, next_month
from services.quantities.typed import typed_kwh
from services.tariff_publishing.preview import (
    SCALES,
    Needs,
    Scenario,
    flat_shares,
    needs,
    scale_of,
)
from services.tariffs import Tariff
from services.tariffs.values import in_words

_MONTHS_AHEAD = 12
_PEAK_KW = 25
_CONNECTED_KW = 5
_MOST = 10**9
# Up to so many kWh the slider goes kWh by kWh, beyond in this many steps.
_FINE_KWH, _STEPS = 5000, 1000


def ask_use(tariff: Tariff, *, today: date, key: str) -> tuple[Scenario, int, int]:
    """A scenario's month, its kWh, and up to how many kWh to look."""
    with st.grid(2, min_column_width=150, vertical_alignment="bottom") as grid:
        with grid.cell():
            period = _ask_month(tariff, today, key)
        with grid.cell():
            scale = st.selectbox(
                _("Up to"),
                SCALES,
                index=SCALES.index(scale_of(tariff)),
                format_func=lambda kwh: f"{grouped(str(kwh))} kWh",
                key=f"{key}-scale",
            )
    kwh = st.slider(
        _("kWh used"),
        0,
        scale,
        value=scale // 5,
        step=1 if scale <= _FINE_KWH else scale // _STEPS,
        key=f"{key}-kwh-{scale}",
    )
    return _ask_needs(tariff, period, scale, key), kwh, scale


def _ask_month(tariff: Tariff, today: date, key: str) -> Period:
    first = max(today, tariff.effective_from).replace(day=1)
    months = [first]
    while len(months) < _MONTHS_AHEAD:
        months.append(next_month(months[-1]))
    chosen = st.selectbox(_("Month"), months, format_func=month, key=f"{key}-month")
    return Period(chosen, next_month(chosen))


def _ask_needs(tariff: Tariff, period: Period, scale: int, key: str) -> Scenario:
    wanted = needs(tariff)
    shares = {calendar: _ask_shares(tariff, calendar, period, key) for calendar in wanted.calendars}
    with st.grid("auto", min_column_width=150, vertical_alignment="bottom") as grid:

        def number(label: str, start: int, name: str, unit: str = "kW") -> int:
            with grid.cell():
                return _ask_number(label, start, unit=unit, key=f"{key}-{name}")

        # A load that runs about half of the hours at its peak.
        peak_kw = max(_PEAK_KW, scale // 5 // 365)
        peak_w = number(_("Peak kW"), peak_kw, "peak") if wanted.peak else 0
        past = number(_("Highest kW before"), peak_kw, "past") if wanted.past_peak else 0
        connected = number(_("Connected kW"), _CONNECTED_KW, "connected") if wanted.connected else 0
        export = 0
        if wanted.export:
            export = number(_("kWh sent to the grid"), scale // 10, "export", "kWh")
        with grid.cell():
            factor = _ask_power_factor(wanted, key)
        peaks = {
            calendar: _peaks(tariff, calendar, period, peak_w) for calendar in wanted.peak_calendars
        }
    return Scenario(
        period=period,
        shares=shares,
        peak_w=peak_w,
        peaks_w=peaks,
        power_factor_percent=factor,
        connected_w=connected,
        export_wh=export,
        past_peak_w=past,
    )


def _ask_number(label: str, start: int, *, unit: str, key: str) -> int:
    """Thousandths of what was typed, W or Wh; those of `start` until it is a number that may be."""
    typed = number_field(label, key=key, value=str(start))
    try:
        number = typed_kwh(typed, what=label, unit=unit)
        if number <= _MOST:
            return number
        said = _("At most {number}.", number=_MOST // 1000)
        st.caption(f":red[{said}]")
    except InvalidEnergy as error:
        st.caption(f":red[{escaped(say(error))}]")
    return start * 1000


def _ask_power_factor(wanted: Needs, key: str) -> int:
    if not wanted.power_factor:
        return 100
    factors = range(50, 101)
    return st.select_slider(
        language().pgettext("charge", "Power factor"),
        factors,
        90,
        format_func=lambda f: grouped(f"{f // 100}.{f % 100:02}"),
        key=f"{key}-pf",
    )


def _ask_shares(tariff: Tariff, calendar: str, period: Period, key: str) -> dict[str, int]:
    """Weights of the periods that these days have; to begin with, those of an even load."""
    flat = flat_shares(tariff, calendar=calendar, period=period)
    hours, shares = sum(flat.values()), dict.fromkeys(flat, 0)
    there = [name for name, count in flat.items() if count]
    with st.grid("auto", min_column_width=150) as grid:
        for name in there:
            with grid.cell():
                shares[name] = st.slider(
                    _("Share in {period}, %", period=in_words(name)),
                    0,
                    100,
                    value=round(flat[name] * 100 / hours),
                    key=f"{key}-{calendar}-{name}-{period.start}",
                )
    return shares if any(shares.values()) else flat


def _peaks(tariff: Tariff, calendar: str, period: Period, peak_w: int) -> dict[str, int]:
    """The same peak in every period that these days have."""
    flat = flat_shares(tariff, calendar=calendar, period=period)
    return {name: peak_w if count else 0 for name, count in flat.items()}
