"""Which period of a calendar a half hour belongs to, decided by looking at its windows in turn."""

from datetime import date

from tests.oracle.arithmetic import Json, days_between


def day_type(day: date, *, tariff: Json, calendar: Json) -> str:
    """weekday, weekend, or holiday where a window of the calendar speaks of holidays."""
    mentioned = any(
        "holiday" in window.get("days", ())
        for windows in calendar["periods"].values()
        for window in windows
    )
    if mentioned and day.isoformat() in tariff.get("holidays", ()):
        return "holiday"
    return "weekend" if day.weekday() >= 5 else "weekday"


def in_season(day: date, season: Json) -> bool:
    """Both ends are in it; a season whose end comes before its start goes over the new year."""
    today, start, end = f"{day:%m-%d}", season["from"], season["to"]
    if start <= end:
        return bool(start <= today <= end)
    return bool(today >= start or today <= end)


def is_in_window(window: Json, *, day: date, minute: int, tariff: Json, calendar: Json) -> bool:
    """Whether the half hour at `minute` of the day is in the window, on the clock of the wall."""
    seasons = tariff.get("seasons", {})
    if "seasons" in window and not any(in_season(day, seasons[s]) for s in window["seasons"]):
        return False
    if "months" in window and day.month not in window["months"]:
        return False
    if "days" in window and day_type(day, tariff=tariff, calendar=calendar) not in window["days"]:
        return False
    start, end = minutes(window.get("from", "00:00")), minutes(window.get("to", "24:00"))
    if start < end:
        return start <= minute < end
    return minute >= start or minute < end


def minutes(clock: str) -> int:
    """Minutes since midnight of "HH:MM"."""
    return int(clock[:2]) * 60 + int(clock[3:])


def period_at(day: date, minute: int, *, tariff: Json, calendar: Json) -> str:
    """The one period that a moment belongs to."""
    found: set[str] = {
        name
        for name, windows in calendar["periods"].items()
        for window in windows
        if is_in_window(window, day=day, minute=minute, tariff=tariff, calendar=calendar)
    }
    (only,) = found
    return only


def occurs(name: str, start: date, end: date, *, tariff: Json, calendar: Json) -> bool:
    """Whether some day from `start` up to `end` has time in a period: no summer in a January."""
    return any(
        is_in_window(
            window,
            day=day,
            minute=minutes(window.get("from", "00:00")),
            tariff=tariff,
            calendar=calendar,
        )
        for day in days_between(start, end)
        for window in calendar["periods"][name]
    )


def period_names(calendar: Json) -> list[str]:
    """The periods in the order of the bill."""
    return list(calendar.get("order") or sorted(calendar["periods"]))


def is_seasonal(calendar: Json, tariff: Json) -> bool:
    """Whether days are enough to measure it: no day changes its period with its hour or kind."""
    windows = [window for windows in calendar["periods"].values() for window in windows]
    if not any(key in window for window in windows for key in ("days", "from", "to")):
        return True
    return all(
        len({name for name in calendar["periods"] if _is_on(day, name, tariff, calendar)}) == 1
        for day in days_between(date(2024, 1, 1), date(2025, 1, 1))
    )


def _is_on(day: date, name: str, tariff: Json, calendar: Json) -> bool:
    """Whether a period has time on such a day of the year, whatever the day of the week."""
    return any(
        is_in_window(
            {key: window[key] for key in ("seasons", "months") if key in window},
            day=day,
            minute=0,
            tariff=tariff,
            calendar=calendar,
        )
        for window in calendar["periods"][name]
    )


def days_of_seasons(start: date, end: date, *, tariff: Json, calendar: Json) -> list[int]:
    """How many days of the bill belong to each period of a calendar of whole days."""
    found = [
        period_at(day, 0, tariff=tariff, calendar=calendar) for day in days_between(start, end)
    ]
    return [found.count(name) for name in period_names(calendar)]
