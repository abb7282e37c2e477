"""Seasons as ranges of dates, and time of use as rows of days and hours for each period."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import streamlit as st

from pages.languages.words import Said, _, say
from pages.shared.format import escaped
from pages.tariffs.tariff_fields import Form
from services.languages.sentence import N_, joined, joined_by_and
from services.languages.writing import Month
from services.tariff_publishing.calendar_edits import (
    ALL_DAY,
    CLOCKS,
    DAYS_OF_YEAR,
    add_period,
    add_season,
    add_window,
    change_window,
    give_the_rest,
    remove_period,
    remove_window,
    season_day,
)
from services.tariff_publishing.json_text import Path
from services.tariffs.values import day_of_year_in_words, in_words, listed, mapped

_KINDS_OF_DAY: Final = ("weekday", "weekend", "holiday")
_DAYS: Final[Mapping[tuple[str, ...], str]] = Said(
    {
        (): N_("all days"),
        ("weekday",): N_("weekdays"),
        ("weekend",): N_("weekends"),
        ("holiday",): N_("holidays"),
        ("weekday", "weekend"): N_("weekdays and weekends"),
        ("weekday", "holiday"): N_("weekdays and holidays"),
        ("weekend", "holiday"): N_("weekends and holidays"),
        ("weekday", "weekend", "holiday"): N_("weekdays and weekends and holidays"),
    }
)
_TIMES: Final = {clock: clock for clock in CLOCKS}


def show_calendars(form: Form) -> None:
    """The seasons and the hours of a tariff that has any."""
    seasons, calendars = mapped(form.value("seasons")), mapped(form.value("calendars"))
    if seasons:
        with st.container(border=True, gap="small"):
            _show_seasons(form, seasons)
    for name, rule in calendars.items():
        with st.container(border=True, gap="small"):
            _show_calendar(form, str(name), mapped(rule))


def _show_seasons(form: Form, seasons: Mapping[str, Any]) -> None:
    st.markdown(_("**Seasons**"))
    dates = {day: say(day_of_year_in_words(day)) for day in DAYS_OF_YEAR}
    for name in seasons:
        season = in_words(name).capitalize()
        labels = {"from": _("{season} from", season=season), "to": _("{season} to", season=season)}
        with st.grid(2, min_column_width=120) as grid:
            for bound, label in labels.items():
                with grid.cell():
                    path: Path = ("seasons", name, bound)
                    form.choose(path, label, dates, partial(season_day, str(name), bound))
    _ask_name(form, _("Add a season"), "seasons", add_season)


def _show_calendar(form: Form, calendar: str, rule: Mapping[str, Any]) -> None:
    title = _("**Times of use**")
    st.markdown(f"{title} :gray[:small[{escaped(in_words(calendar))}]]")
    periods = mapped(rule.get("periods"))
    for period in periods:
        with st.container(gap="xsmall"):
            _show_period(form, calendar, str(period), alone=len(periods) == 1)
    form.say_wrong(("calendars", calendar, "periods"))
    form.say_wrong(("calendars", calendar, "order"))
    form.say_wrong(("holidays",))
    _ask_name(form, _("Add a period"), calendar, lambda name: add_period(calendar, name))


def _show_period(form: Form, calendar: str, period: str, *, alone: bool) -> None:
    path: Path = ("calendars", calendar, "periods", period)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(escaped(in_words(period).capitalize()))
        edits = {
            _("Add hours"): add_window(calendar, period),
            _("Give it all other hours"): give_the_rest(calendar, period),
        }
        if not alone:
            edits[_("Remove the period")] = remove_period(calendar, period)
        form.menu(
            "",
            edits,
            name=f"period-{calendar}-{period}",
            icon=":material/more_horiz:",
            type="tertiary",
            help=_("Hours of {period}", period=in_words(period)),
        )
    windows = listed(form.value(*path))
    for index, window in enumerate(windows):
        _show_window(form, path, index, mapped(window), alone=len(windows) == 1)
    form.say_wrong(path)


def _show_window(
    form: Form, path: Path, index: int, window: Mapping[str, Any], *, alone: bool
) -> None:
    calendar, period = str(path[1]), str(path[3])
    here, name = (*path, index), in_words(period).capitalize()
    name += f" {index + 1}" if index else ""

    def changes(field: str) -> Any:
        def makes(value: Any) -> Any:
            listed_value = list(value) if isinstance(value, tuple) else value
            return change_window(calendar, period, index, **{field: listed_value})

        return makes

    seasons = _parts_of_year(form, window)
    columns = 2 if len(seasons) > 1 else 3
    with st.grid(columns, min_column_width=100, vertical_alignment="bottom") as grid:
        if len(seasons) > 1:
            with grid.cell():
                form.choose(
                    (*here, "seasons"),
                    _("{period}, season", period=name),
                    seasons,
                    changes("seasons"),
                    value=tuple(listed(window.get("seasons"))),
                )
        with grid.cell():
            days = tuple(day for day in _KINDS_OF_DAY if day in listed(window.get("days")))
            label = _("{period}, days", period=name)
            form.choose((*here, "days"), label, _DAYS, changes("days"), value=days)
        for field, label, usual in (
            ("from", _("{period}, from", period=name), ALL_DAY[0]),
            ("to", _("{period}, to", period=name), ALL_DAY[1]),
        ):
            with grid.cell():
                form.choose(
                    (*here, field),
                    label,
                    _TIMES,
                    changes("begin" if field == "from" else "end"),
                    value=window.get(field, usual),
                )
        if not alone:
            with grid.cell():
                form.act(
                    _("Remove"),
                    remove_window(calendar, period, index),
                    name=f"remove-{calendar}-{period}-{index}",
                    icon=":material/close:",
                )
    form.say_wrong(here)


def _parts_of_year(form: Form, window: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
    """All year, each season, and what else a row has: several seasons, or months."""
    if months := listed(window.get("months")):
        return {(): say(joined(Month(month) for month in months if month in range(1, 13)))}
    parts: dict[tuple[str, ...], str] = {(): _("all year")}
    parts |= {(name,): in_words(name) for name in mapped(form.value("seasons"))}
    several = tuple(map(str, listed(window.get("seasons"))))
    if several not in parts:
        parts[several] = say(joined_by_and([*map(in_words, several)]))
    return parts


def _ask_name(form: Form, label: str, name: str, makes: Any) -> None:
    key = f"{form.written.key}-name-{name}"

    def add() -> None:
        form.written.edit(makes("_".join(str(st.session_state[key]).split())))
        st.session_state[key] = ""

    with st.popover(label, icon=":material/add:", type="tertiary"):
        st.text_input(
            _("Its name"), key=key, autocomplete="off", placeholder=_("Such as: shoulder")
        )
        st.button(_("Add"), key=f"{key}-add", on_click=add, type="primary")
