"""What is wrong in calendars: half hours of the year in no period, or in two."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, groupby
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from services.languages.sentence import N_, Sentence, joined, joined_by_and, sentence
from services.tariffs.calendar import (
    DAY_TYPES,
    HALF_HOURS,
    LEAP_YEAR,
    Box,
    Cells,
    box_of,
    compile_calendar,
    days_of_season,
    flags,
    used_day_types,
)
from services.tariffs.checks.problems import Problem
from services.tariffs.rules import CalendarRule, DayType, Season, Window
from services.tariffs.values import day_of_year_in_words, in_words, listed, mapped

_Json = Mapping[str, Any]
_Seasons = Mapping[str, Season]
_KINDS: Final[Mapping[DayType, str]] = {
    "weekday": N_("weekdays"),
    "weekend": N_("weekends"),
    "holiday": N_("holidays"),
}
_REACTIVE: Final = {"kvarh": "kVArh", "kvar": "kVAr"}


def calendar_problems(tariff: _Json) -> Iterator[Problem]:
    """What is wrong between the windows of each calendar of a tariff, given as JSON."""
    seasons = _read_seasons(mapped(tariff.get("seasons")))
    for name, written in mapped(tariff.get("calendars")).items():
        path = f"calendars.{name}"
        try:
            rule = CalendarRule.model_validate(written)
        except ValidationError:
            continue  # what is wrong within its fields is said with the path of each
        if "holiday" in used_day_types(rule) and tariff.get("holidays") is None:
            yield (
                "holidays",
                sentence("must be listed: the calendar {name} has a price for holidays", name=name),
            )
        found = [*_order_problems(path, rule), *_window_problems(path, rule, tariff)]
        yield from found
        if not found and seasons is not None:
            yield from _coverage_problems(path, rule, seasons)
            yield from _unknown_by_hours(name, rule, seasons, tariff)


def _read_seasons(written: _Json) -> dict[str, Season] | None:
    try:
        return {name: Season.model_validate(season) for name, season in written.items()}
    except ValidationError:
        return None


def _order_problems(path: str, rule: CalendarRule) -> Iterator[Problem]:
    if not rule.periods:
        yield f"{path}.periods", sentence("must have at least one period")
    if rule.order is not None and sorted(rule.order) != sorted(rule.periods):
        periods = ", ".join(rule.periods)
        yield f"{path}.order", sentence("must name each period once: {periods}", periods=periods)


def _window_problems(path: str, rule: CalendarRule, tariff: _Json) -> Iterator[Problem]:
    known = mapped(tariff.get("seasons"))
    for period, windows in rule.periods.items():
        if not windows:
            yield f"{path}.periods.{period}", sentence("must have at least one window of time")
        for index, window in enumerate(windows):
            yield from _problems_of_window(f"{path}.periods.{period}[{index}]", window, known)


def _problems_of_window(path: str, window: Window, seasons: _Json) -> Iterator[Problem]:
    if window.seasons is not None and window.months is not None:
        yield path, sentence("has seasons or months, not both")
    for field in ("seasons", "months", "days"):
        if getattr(window, field) == ():
            yield f"{path}.{field}", sentence("must name at least one; leave it out for all")
    for position, name in enumerate(window.seasons or ()):
        if name not in seasons:
            why = sentence("is {name}, which is not a season of this tariff", name=name)
            yield f"{path}.seasons[{position}]", why
    if window.begin in (window.end, "24:00"):
        yield f"{path}.from", sentence("must be another time of the day than its end")


def _coverage_problems(path: str, rule: CalendarRule, seasons: _Seasons) -> Iterator[Problem]:
    boxes = [
        (period, f"{path}.periods.{period}[{index}]", box_of(window, seasons))
        for period, windows in rule.periods.items()
        for index, window in enumerate(windows)
    ]
    kinds = used_day_types(rule)
    for (period, _, earlier), (other, where, later) in combinations(boxes, 2):
        both = earlier & later
        if period != other and both.size():
            first = _in_words(_table([both]), kinds, seasons)[0]
            why = sentence("is in {period} already: {when}", period=in_words(period), when=first)
            yield where, why
    yield from _gaps(f"{path}.periods", [box for _, _, box in boxes], kinds, seasons)


def _gaps(
    path: str, boxes: Sequence[Box], kinds: Sequence[DayType], seasons: _Seasons
) -> Iterator[Problem]:
    every = Box((1 << len(LEAP_YEAR)) - 1, (1 << len(kinds)) - 1, (1 << HALF_HOURS) - 1)
    covered = [box & every for box in boxes]
    apart = not any((one & other).size() for one, other in combinations(covered, 2))
    # Windows that are apart leave no gap when their sizes add up to a whole year: no table needed.
    if apart and sum(box.size() for box in covered) == every.size():
        return
    for missing in _in_words(~_table(covered), kinds, seasons):
        yield path, sentence("leave half hours without a period: {when}", when=missing)


def _table(boxes: Sequence[Box]) -> Cells:
    cells = np.zeros((len(LEAP_YEAR), len(DAY_TYPES), HALF_HOURS), dtype=np.bool_)
    for box in boxes:
        cells[box.cells()] = True
    return cells


def _unknown_by_hours(
    name: str, rule: CalendarRule, seasons: _Seasons, tariff: _Json
) -> Iterator[Problem]:
    """Prices by the hours of a calendar for what no meter measures by the hour."""
    if compile_calendar(rule=rule, seasons=seasons, holidays=()).is_seasonal:
        return
    for index, charge in enumerate(map(mapped, listed(tariff.get("charges")))):
        if charge.get("calendar") != name:
            continue
        if charge.get("ratchet"):
            why = sentence(
                "can only go with seasons: past peaks are not known by the hours of {name}",
                name=name,
            )
            yield f"charges[{index}].ratchet", why
        if unit := _REACTIVE.get(str(charge.get("quantity"))):
            why = sentence(
                "can only go with seasons: {unit} are not known by the hours of {name}",
                unit=unit,
                name=name,
            )
            yield f"charges[{index}].quantity", why


def _in_words(cells: Cells, kinds: Sequence[DayType], seasons: _Seasons) -> list[Sentence]:
    """Cells of a table as a person would say them, such as "in summer, weekdays, 07:00 to 09:00".

    Days with the same hours are said together, and so are kinds of day with the same days.
    """
    said: dict[tuple[bytes, bytes], list[DayType]] = {}
    for index, kind in enumerate(kinds):
        of_kind = cells[:, index]
        for hours in np.unique(of_kind, axis=0) if of_kind.any() else ():
            days = (of_kind == hours).all(axis=1)
            if hours.any():
                said.setdefault((days.tobytes(), hours.tobytes()), []).append(kind)
    return [
        joined(
            [
                _days_in_words(np.frombuffer(days, np.bool_), seasons),
                _kinds_in_words(same, kinds),
                _hours_in_words(np.frombuffer(hours, np.bool_)),
            ]
        )
        for (days, hours), same in said.items()
    ]


def _kinds_in_words(same: Sequence[DayType], kinds: Sequence[DayType]) -> object:
    if len(same) == len(kinds):
        return sentence("all days")
    return joined_by_and([sentence(_KINDS[kind]) for kind in same])


def _days_in_words(days: Cells, seasons: _Seasons) -> object:
    if days.all():
        return sentence("all year")
    for name, season in seasons.items():
        if (flags(days_of_season(season), len(days)) == days).all():
            return sentence("in {season}", season=in_words(name))
    runs = [
        [day_of_year_in_words(f"{LEAP_YEAR[end]!s:.10}"[5:]) for end in run] for run in _runs(days)
    ]
    return joined_by_and([first if first == last else _span(first, last) for first, last in runs])


def _hours_in_words(hours: Cells) -> object:
    if hours.all():
        return sentence("all day")
    return joined_by_and([_span(_clock(first), _clock(last + 1)) for first, last in _runs(hours)])


def _span(first: str, last: str) -> Sentence:
    return sentence("{first} to {last}", first=first, last=last)


def _runs(flags: Cells) -> Sequence[tuple[int, int]]:
    """The first and last index of each run of set flags."""
    marked: npt.NDArray[np.intp] = np.flatnonzero(flags)
    runs = [
        list(run) for _, run in groupby(enumerate(marked.tolist()), lambda pair: pair[1] - pair[0])
    ]
    return [(run[0][1], run[-1][1]) for run in runs]


def _clock(half_hour: int) -> str:
    return f"{half_hour // 2:02d}:{'30' if half_hour % 2 else '00'}"
