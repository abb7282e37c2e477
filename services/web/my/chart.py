"""Use by month as bars: where each stands in a drawing, so that the page needs no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from services.languages.language import Language
from services.metering.monthly_use import MonthOfUse
from services.quantities.energy import format_kwh

WIDTH: Final = 338
HEIGHT: Final = 190
_FLOOR: Final = 166
_CEILING: Final = 12
_STEP: Final = 26
_BAR: Final = 10


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the drawing."""

    x: int
    y: int
    height: int
    css: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A text on an axis, or where similar homes stand."""

    x: int
    y: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A month as the table has it; empty where nothing was billed."""

    month: date
    used: str
    year_before: str
    similar: str
    # Whether a part of the month is not billed yet.
    partly: bool


@dataclass(frozen=True, slots=True)
class UsageChart:
    """The drawing and the table of a meter's use; kWh."""

    bars: tuple[Bar, ...]
    homes: tuple[Tick, ...]
    names: tuple[Tick, ...]
    highest: str
    rows: tuple[Row, ...]
    width: int = WIDTH
    height: int = HEIGHT
    floor: int = _FLOOR
    ceiling: int = _CEILING


def usage_chart(
    months: Sequence[MonthOfUse], similar: Mapping[date, int], language: Language
) -> UsageChart:
    """13 months with the year before, and what similar homes used in Wh, by month."""
    shown = {m.month: similar[m.month] for m in months if m.month in similar}
    highest = max([1, *shown.values(), *(max(m.this_year.wh, m.year_before.wh) for m in months)])

    def up(wh: int) -> int:
        return max(wh, 0) * (_FLOOR - _CEILING) // highest

    bars, homes, names = [], [], []
    for number, month in enumerate(months):
        x = number * _STEP
        for at, wh, css in (
            (x + 2, month.year_before.wh, "before"),
            (x + 2 + _BAR, month.this_year.wh, "now"),
        ):
            if wh > 0:
                bars.append(Bar(at, _FLOOR - up(wh), up(wh), css))
        if month.month in shown:
            homes.append(Tick(x, _FLOOR - up(shown[month.month])))
        names.append(Tick(x + 2 + _BAR, _FLOOR + 15, language.month_letter(month.month)))
    return UsageChart(
        tuple(bars),
        tuple(homes),
        tuple(names),
        _kwh(highest, language),
        tuple(_row(month, shown, language) for month in reversed(months)),
    )


def _row(month: MonthOfUse, similar: Mapping[date, int], language: Language) -> Row:
    used, before = month.this_year, month.year_before
    wh = similar.get(month.month)
    return Row(
        month.month,
        _kwh(used.wh, language) if used.days else "",
        _kwh(before.wh, language) if before.days else "",
        _kwh(wh, language) if wh is not None else "",
        partly=0 < used.days < month.days,
    )


def _kwh(wh: int, language: Language) -> str:
    """Whole kWh: nobody compares months by less."""
    return language.number(format_kwh((wh + 500) // 1000 * 1000))
