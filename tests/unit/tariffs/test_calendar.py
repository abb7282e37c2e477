"""Every half hour of a year has one period, and the table finds it."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from services.tariffs import Calendar, InvalidTariff, compiled, day_number, parse_tariff

SEASONS = {"summer": {"from": "06-01", "to": "09-30"}, "winter": {"from": "10-01", "to": "05-31"}}
WEEKDAY, SATURDAY = date(2025, 7, 1), date(2025, 7, 5)
GAP = "leave half hours without a period:"


def _tariff(periods: Any, **fields: Any) -> dict[str, Any]:
    calendar = {"periods": periods} | {
        name: fields.pop(name) for name in ("order",) if name in fields
    }
    return {
        "code": "T",
        "name": "T",
        "currency": "USD",
        "effective_from": "2025-01-01",
        "charges": [{"code": "e", "description": "E", "kind": "energy", "rate": "1"}],
        "seasons": SEASONS,
        "calendars": {"tou": calendar},
        **fields,
    }


def _calendar(periods: Any, **fields: Any) -> Calendar:
    return compiled(parse_tariff(_tariff(periods, **fields)), "tou")


def _problems(periods: Any, **fields: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidTariff) as refused:
        parse_tariff(_tariff(periods, **fields))
    return refused.value.problems


NIGHT: dict[str, Any] = {
    "day": [{"from": "06:00", "to": "22:30"}],
    "night": [{"from": "22:30", "to": "06:00"}],
}
SUMMER_PEAK: dict[str, Any] = {
    "peak": [{"seasons": ["summer"], "days": ["weekday"], "from": "16:00", "to": "21:00"}],
    "off_peak": [
        {"seasons": ["summer"], "days": ["weekday"], "from": "21:00", "to": "16:00"},
        {"seasons": ["summer"], "days": ["weekend"]},
        {"seasons": ["winter"]},
    ],
}
BY_SEASON: dict[str, Any] = {
    "high": [{"seasons": ["summer"]}],
    "low": [{"seasons": ["winter"]}],
}
HOLIDAYS: dict[str, Any] = {
    "peak": [{"days": ["weekday"]}],
    "off_peak": [{"days": ["weekend", "holiday"]}],
}


@pytest.mark.parametrize(
    ("half_hour", "period"), [(0, "night"), (11, "night"), (12, "day"), (44, "day"), (45, "night")]
)
def test_a_night_is_the_evening_and_the_morning_of_one_date(half_hour: int, period: str) -> None:
    assert _calendar(NIGHT).of(WEEKDAY, half_hour) == period


@pytest.mark.parametrize(
    ("day", "half_hour", "period"),
    [
        (WEEKDAY, 31, "off_peak"),
        (WEEKDAY, 32, "peak"),
        (WEEKDAY, 41, "peak"),
        (WEEKDAY, 42, "off_peak"),
        (SATURDAY, 32, "off_peak"),
        (date(2025, 9, 30), 32, "peak"),
        (date(2025, 10, 1), 32, "off_peak"),
        (date(2025, 5, 30), 32, "off_peak"),
        (date(2024, 2, 29), 32, "off_peak"),
    ],
)
def test_a_period_is_found_by_season_kind_of_day_and_half_hour(
    day: date, half_hour: int, period: str
) -> None:
    assert _calendar(SUMMER_PEAK).of(day, half_hour) == period


def test_a_holiday_is_a_kind_of_day_where_a_window_names_it() -> None:
    calendar = _calendar(HOLIDAYS, holidays=["2025-07-04"])
    assert [calendar.of(date(2025, 7, day), 0) for day in (3, 4, 5)] == [
        "peak",
        "off_peak",
        "off_peak",
    ]


def test_a_holiday_is_the_weekday_it_falls_on_where_no_window_names_it() -> None:
    calendar = _calendar(SUMMER_PEAK, holidays=["2025-07-04"])
    assert calendar.of(date(2025, 7, 4), 32) == "peak"


def test_the_table_gives_for_many_days_what_it_gives_for_one() -> None:
    calendar = _calendar(SUMMER_PEAK)
    days = [date(2023, 12, 1) + timedelta(days=number) for number in range(0, 900, 7)]
    rows = calendar.rows(np.array([day_number(day) for day in days]))
    assert rows.shape == (len(days), 48)
    for day, row in zip(days, rows, strict=True):
        for half_hour in (0, 31, 32, 41, 42, 47):
            assert calendar.periods[row[half_hour]] == calendar.of(day, half_hour)


def test_a_calendar_of_whole_days_of_every_kind_is_seasonal() -> None:
    calendar = _calendar(BY_SEASON)
    assert calendar.is_seasonal
    days = np.array([day_number(date(2025, month, 1)) for month in (1, 6, 9, 10)])
    assert [calendar.periods[index] for index in calendar.season_of(days)] == [
        "low",
        "high",
        "high",
        "low",
    ]


@pytest.mark.parametrize("periods", [NIGHT, SUMMER_PEAK])
def test_a_calendar_with_hours_or_kinds_of_day_is_not_seasonal(periods: Any) -> None:
    assert not _calendar(periods).is_seasonal


def test_holidays_make_a_calendar_that_is_not_seasonal() -> None:
    periods = {"a": [{"days": ["weekday", "weekend"]}], "b": [{"days": ["holiday"]}]}
    assert not _calendar(periods, holidays=[]).is_seasonal


def test_windows_that_together_are_whole_days_are_seasonal_too() -> None:
    periods = {"all": [{"from": "06:00", "to": "18:00"}, {"from": "18:00", "to": "06:00"}]}
    assert _calendar(periods).is_seasonal


def test_periods_come_in_the_order_given_and_else_by_name() -> None:
    # Never as the JSON has them: the database keeps no order of names.
    swapped = dict(reversed(SUMMER_PEAK.items()))
    for periods in (SUMMER_PEAK, swapped):
        assert _calendar(periods).periods == ("off_peak", "peak")
        assert _calendar(periods, order=["peak", "off_peak"]).periods == ("peak", "off_peak")


@pytest.mark.parametrize(
    ("periods", "problems"),
    [
        (
            {
                "day": [{"from": "06:00", "to": "22:00"}],
                "night": [{"from": "22:30", "to": "05:30"}],
            },
            [f"{GAP} all year, all days, 05:30 to 06:00 and 22:00 to 22:30"],
        ),
        (
            {"peak": SUMMER_PEAK["peak"], "off_peak": SUMMER_PEAK["off_peak"][1:]},
            [f"{GAP} in summer, weekdays, 00:00 to 16:00 and 21:00 to 24:00"],
        ),
        (
            {"summer": [{"seasons": ["summer"]}]},
            [f"{GAP} in winter, all days, all day"],
        ),
        (
            {
                "most": [{"months": [1, *range(3, 13)]}],
                "week": [{"months": [2], "days": ["weekday"]}],
            },
            [f"{GAP} 1 Feb to 29 Feb, weekends, all day"],
        ),
        (
            {
                "a": [{"months": [*range(1, 12)]}, {"months": [12], "from": "12:00"}],
                "b": [{"months": [12], "days": ["weekday"], "to": "06:00"}],
            },
            [
                f"{GAP} 1 Dec to 31 Dec, weekdays, 06:00 to 12:00",
                f"{GAP} 1 Dec to 31 Dec, weekends, 00:00 to 12:00",
            ],
        ),
    ],
)
def test_half_hours_without_a_period_are_named(periods: Any, problems: list[str]) -> None:
    assert _problems(periods) == [("calendars.tou.periods", why) for why in problems]


def test_a_holiday_without_a_period_is_named() -> None:
    periods = {
        "peak": [{"days": ["weekday"], "from": "08:00", "to": "20:00"}],
        "off_peak": [
            {"days": ["weekday"], "from": "20:00", "to": "08:00"},
            {"days": ["weekend"]},
            {"days": ["holiday"], "from": "01:00"},
        ],
    }
    assert _problems(periods, holidays=[]) == [
        (
            "calendars.tou.periods",
            f"{GAP} all year, holidays, 00:00 to 01:00",
        )
    ]


def test_the_29th_of_february_needs_a_period() -> None:
    seasons = {"cold": {"from": "11-01", "to": "02-28"}, "warm": {"from": "03-01", "to": "10-31"}}
    periods = {"cold": [{"seasons": ["cold"]}], "warm": [{"seasons": ["warm"]}]}
    assert _problems(periods, seasons=seasons) == [
        ("calendars.tou.periods", f"{GAP} 29 Feb, all days, all day")
    ]
    seasons["cold"]["to"] = "02-29"
    assert _calendar(periods, seasons=seasons).of(date(2024, 2, 29), 0) == "cold"


def test_half_hours_in_two_periods_are_named_at_the_later_window() -> None:
    periods = {
        "peak": [{"days": ["weekday"], "from": "16:00", "to": "21:00"}],
        "off_peak": [
            {"days": ["weekend"]},
            {"days": ["weekday"], "from": "20:30", "to": "16:30"},
        ],
    }
    assert _problems(periods) == [
        (
            "calendars.tou.periods.off_peak[1]",
            "is in peak already: all year, weekdays, 16:00 to 16:30 and 20:30 to 21:00",
        )
    ]


@pytest.mark.parametrize(
    ("window", "path"),
    [
        ({"from": "06:15"}, ".from"),
        ({"from": "6:00"}, ".from"),
        ({"to": "24:30"}, ".to"),
        ({"from": "24:00"}, ".from"),
        ({"from": "08:00", "to": "08:00"}, ".from"),
        ({"days": ["sunday"]}, ".days[0]"),
        ({"days": []}, ".days"),
        ({"months": [13]}, ".months[0]"),
        ({"months": []}, ".months"),
        ({"seasons": ["spring"]}, ".seasons[0]"),
        ({"seasons": ["summer"], "months": [1]}, ""),
        ({"hours": "all"}, ".hours"),
    ],
)
def test_a_window_that_says_nothing_clear_is_refused(window: dict[str, Any], path: str) -> None:
    ((found, _),) = _problems({"peak": [window]})
    assert found == f"calendars.tou.periods.peak[0]{path}"


@pytest.mark.parametrize(
    ("periods", "fields", "path"),
    [
        ({}, {}, "calendars.tou.periods"),
        ({"all": [{}], "none": []}, {}, "calendars.tou.periods.none"),
        (NIGHT, {"order": ["day"]}, "calendars.tou.order"),
        (NIGHT, {"order": ["day", "day", "night"]}, "calendars.tou.order"),
        (HOLIDAYS, {}, "holidays"),
    ],
)
def test_a_calendar_that_is_not_whole_is_refused(
    periods: Any, fields: dict[str, Any], path: str
) -> None:
    assert [found for found, _ in _problems(periods, **fields)] == [path]


@pytest.mark.parametrize(
    ("kind", "quantity"), [("energy", "kvarh"), ("demand", "kvar")], ids=["energy", "demand"]
)
def test_reactive_power_goes_with_seasons_and_not_with_hours(kind: str, quantity: str) -> None:
    charge = {"code": "r", "description": "R", "kind": kind, "quantity": quantity}
    charge |= {"calendar": "tou"}
    seasonal = charge | {"rates": {"high": "1", "low": "1"}}
    assert _calendar(BY_SEASON, charges=[seasonal]).is_seasonal
    ((path, _),) = _problems(NIGHT, charges=[charge | {"rates": {"day": "1", "night": "1"}}])
    assert path == "charges[0].quantity"


def test_a_ratchet_goes_with_seasons_and_not_with_hours() -> None:
    demand = {
        "code": "d",
        "description": "D",
        "kind": "demand",
        "quantity": "kw",
        "calendar": "tou",
        "ratchet": {"percent": "80", "months": 11},
    }
    seasonal = demand | {"rates": {"high": "1", "low": "1"}}
    assert _calendar(BY_SEASON, charges=[seasonal]).is_seasonal
    hourly = demand | {"rates": {"day": "1", "night": "1"}}
    ((path, _),) = _problems(NIGHT, charges=[hourly])
    assert path == "charges[0].ratchet"
