"""What a form does to the seasons and calendars of a tariff while it is written."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import reduce
from itertools import groupby
from operator import or_
from typing import Any, Final

from pydantic import ValidationError

from services.tariff_publishing.edits import Edit, at
from services.tariffs.calendar import (
    DAY_TYPES,
    HALF_HOURS,
    Box,
    box_of,
    days_of_season,
    used_day_types,
)
from services.tariffs.rules import CalendarRule, Season, Window
from services.tariffs.values import listed, mapped

Json = dict[str, Any]

ALL_DAY: Final = ("00:00", "24:00")
_YEAR: Final = Box((1 << 366) - 1, (1 << len(DAY_TYPES)) - 1, (1 << HALF_HOURS) - 1)
_NEW_YEAR: Final = date(2000, 1, 1)  # of a leap year: a season may end on 29 February
# Where rows of hours begin and end, and every day of a year as the format has it.
CLOCKS: Final = tuple(f"{half // 2:02d}:{'30' if half % 2 else '00'}" for half in range(49))
DAYS_OF_YEAR: Final = tuple(f"{_NEW_YEAR + timedelta(days=day):%m-%d}" for day in range(366))


def add_season(name: str) -> Edit:
    """One more season, whose days are to be filled in."""

    def edit(data: Json) -> None:
        seasons = data.setdefault("seasons", {})
        if name and isinstance(seasons, dict):
            seasons.setdefault(name, {"from": "", "to": ""})

    return edit


def season_day(season: str, bound: str, to: str) -> Edit:
    """Move the first ("from") or last ("to") day of a season.

    The season beside it, which began or ended where this one did, moves along, so that no day is
    left out and none is in both.
    """

    def edit(data: Json) -> None:
        seasons = data.get("seasons")
        if not isinstance(seasons, dict) or not isinstance(seasons.get(season), dict):
            return
        step = 1 if bound == "to" else -1
        other = "from" if bound == "to" else "to"
        before, after = _beside(seasons[season].get(bound), step), _beside(to, step)
        seasons[season][bound] = to
        for name, beside in seasons.items():
            if before and name != season and mapped(beside).get(other) == before:
                beside[other] = after

    return edit


def add_period(calendar: str, period: str) -> Edit:
    """One more period, without hours, and with a rate to be filled in where the calendar counts."""

    def edit(data: Json) -> None:
        rule = at(data, ("calendars", calendar))
        if not isinstance(rule, dict) or not isinstance(rule.get("periods"), dict):
            return
        if not period or period in rule["periods"]:
            return
        rule["periods"][period] = [{"from": "", "to": ""}]
        if isinstance(rule.get("order"), list):
            rule["order"].append(period)
        for charge in _priced_by(data, calendar):
            for prices, blank in (("rates", ""), ("period_slabs", [{"rate": ""}])):
                if isinstance(charge.get(prices), dict):
                    charge[prices][period] = blank

    return edit


def remove_period(calendar: str, period: str) -> Edit:
    """Take a period out, with its rates."""

    def edit(data: Json) -> None:
        rule = at(data, ("calendars", calendar))
        if not isinstance(rule, dict) or len(mapped(rule.get("periods"))) < 2:
            return
        rule["periods"].pop(period, None)
        if isinstance(rule.get("order"), list):
            rule["order"] = [name for name in rule["order"] if name != period]
        for charge in _priced_by(data, calendar):
            for prices in ("rates", "period_slabs"):
                if isinstance(charge.get(prices), dict):
                    charge[prices].pop(period, None)

    return edit


def add_window(calendar: str, period: str) -> Edit:
    """One more row of hours for a period, to be filled in."""

    def edit(data: Json) -> None:
        windows = at(data, ("calendars", calendar, "periods", period))
        if isinstance(windows, list):
            windows.append({"from": "", "to": ""})

    return edit


def change_window(calendar: str, period: str, index: int, **given: Any) -> Edit:
    """Change a row: `begin` and `end` (HH:MM), `days`, `seasons`; an empty list means all."""

    def edit(data: Json) -> None:
        window = at(data, ("calendars", calendar, "periods", period, index))
        if not isinstance(window, dict):
            return
        for name, value in given.items():
            field = {"begin": "from", "end": "to"}.get(name, name)
            if value:
                window[field] = value
            else:
                window.pop(field, None)

    return edit


def remove_window(calendar: str, period: str, index: int) -> Edit:
    """Take a row out of a period that has others."""

    def edit(data: Json) -> None:
        windows = at(data, ("calendars", calendar, "periods", period))
        if isinstance(windows, list) and index < len(windows) > 1:
            del windows[index]

    return edit


def give_the_rest(calendar: str, period: str) -> Edit:
    """Give a period all the half hours that the others of its calendar leave.

    Nothing changes while another period is not filled in, or leaves nothing.
    """

    def edit(data: Json) -> None:
        rule = at(data, ("calendars", calendar))
        periods = mapped(mapped(rule).get("periods"))
        others = [w for name, ws in periods.items() if name != period for w in listed(ws)]
        try:
            seasons = {n: Season.model_validate(s) for n, s in mapped(data.get("seasons")).items()}
            windows = [Window.model_validate(window) for window in others]
            kinds = len(used_day_types(CalendarRule(periods={"all": tuple(windows)})))
            rest = list(_rest(windows, seasons, kinds))
        except (ValidationError, KeyError):
            return
        if rest and isinstance(rule, dict):
            rule["periods"][period] = rest

    return edit


def _beside(day: object, step: int) -> str:
    if day not in DAYS_OF_YEAR:
        return ""
    return DAYS_OF_YEAR[(DAYS_OF_YEAR.index(day) + step) % len(DAYS_OF_YEAR)]


def _priced_by(data: Json, calendar: str) -> Iterator[Json]:
    for charge in listed(data.get("charges")):
        if isinstance(charge, dict) and charge.get("calendar") == calendar:
            yield charge


def _rest(windows: Sequence[Window], seasons: Mapping[str, Season], kinds: int) -> Iterator[Json]:
    """Rows for all that windows leave: parts of the year and kinds of day alike said together."""
    parts = _parts_of_year(windows, seasons)
    boxes = [box_of(window, seasons) for window in windows]
    of_part = {name: tuple(_free(boxes, days, kinds)) for name, days in parts.items()}
    alike: dict[tuple[int, ...], list[Any]] = defaultdict(list)
    for name, free in of_part.items():
        alike[free].append(name)
    for free, names in alike.items():
        by_hours: dict[int, list[str]] = defaultdict(list)
        for kind, hours in zip(DAY_TYPES, free, strict=False):
            by_hours[hours].append(kind)
        for hours, days in by_hours.items():
            for begin, end in _runs(hours):
                yield _row(
                    names if len(alike) > 1 else [], days if len(days) < kinds else [], begin, end
                )


def _parts_of_year(windows: Sequence[Window], seasons: Mapping[str, Season]) -> dict[Any, int]:
    """What the rows of a calendar divide the year into: its seasons, its months, or nothing."""
    if any(window.seasons for window in windows):
        return {name: days_of_season(season) for name, season in seasons.items()}
    if any(window.months for window in windows):
        return {m: box_of(Window(months=(m,)), {}).days for m in range(1, 13)}
    return {"": _YEAR.days}


def _free(boxes: Sequence[Box], days: int, kinds: int) -> Iterator[int]:
    """For each kind of day the half hours, as bits, that no box has on any of these days."""
    for kind in range(kinds):
        here = Box(days, 1 << kind, _YEAR.hours)
        taken = [box.hours for box in boxes if (box & here).size()]
        yield _YEAR.hours & ~reduce(or_, taken, 0)


def _runs(hours: int) -> Iterator[tuple[str, str]]:
    """The runs of half hours as times; one over midnight is the night of the same date."""
    free = [half for half in range(HALF_HOURS) if hours >> half & 1]
    runs = [
        [half for _, half in run]
        for _, run in groupby(enumerate(free), lambda pair: pair[1] - pair[0])
    ]
    if len(runs) > 1 and runs[0][0] == 0 and runs[-1][-1] == HALF_HOURS - 1:
        runs = [runs[-1] + runs[0], *runs[1:-1]]
    for run in runs:
        yield CLOCKS[run[0]], CLOCKS[run[-1] + 1]


def _row(parts: Sequence[Any], days: Sequence[str], begin: str, end: str) -> Json:
    row: Json = {}
    if parts:
        row["months" if isinstance(parts[0], int) else "seasons"] = list(parts)
    if days:
        row["days"] = list(days)
    return row if (begin, end) == ALL_DAY else row | {"from": begin, "to": end}
