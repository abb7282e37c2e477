"""Intervals of any zone become local days, whole or in parts, on days of clock changes too."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.importing.meter_files.local_days import local_days
from services.importing.meter_files.stretches import EPOCH, Stretch
from services.importing.source import UnreadableFile

SYDNEY, KOLKATA = ZoneInfo("Australia/Sydney"), ZoneInfo("Asia/Kolkata")
MARCH = datetime(2026, 3, 1, tzinfo=KOLKATA)


def stretch(
    start: datetime, count: int, *, minutes: int = 30, serial: str = "M1", channel: str = "E1"
) -> Stretch:
    begin = (start.astimezone(UTC) - EPOCH) // timedelta(minutes=1)
    return Stretch(7, serial, channel, begin, minutes, [100] * count, [0] * count)


@pytest.mark.parametrize(("day", "slots"), [("2026-10-04", 46), ("2026-04-05", 50)])
def test_a_day_of_a_clock_change_has_an_hour_more_or_less(day: str, slots: int) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=SYDNEY)
    (row,) = local_days([stretch(start, slots)], SYDNEY)
    assert (row["day"], len(row["wh"]), None in row["wh"]) == (day, slots, False)
    assert row["quality"] == [0]


def test_a_day_of_market_time_is_two_parts_where_clocks_are_ahead() -> None:
    start = datetime(2026, 12, 1, tzinfo=ZoneInfo("Australia/Brisbane"))
    first, second = local_days([stretch(start, 48)], SYDNEY)
    assert (first["wh"][:2], first["wh"][2:]) == ([None] * 2, [100] * 46)
    assert (second["wh"][:2], second["wh"][2:]) == ([100] * 2, [None] * 46)
    assert first["quality"] == [None] * 2 + [0] * 46


def test_two_channels_of_a_meter_are_added_up() -> None:
    (row,) = local_days([stretch(MARCH, 48), stretch(MARCH, 48, channel="E2")], KOLKATA)
    assert row["wh"] == [200] * 48


def test_an_interval_that_one_channel_lacks_is_lacking() -> None:
    (row,) = local_days([stretch(MARCH, 48), stretch(MARCH, 47, channel="E2")], KOLKATA)
    assert row["wh"] == [200] * 47 + [None]


def test_five_minutes_are_kept_as_quarters_of_an_hour() -> None:
    found = stretch(MARCH, 288, minutes=5)
    mixed = Stretch(7, "M1", "E1", found.start, 5, found.wh, [0, 0, 9] + [0] * 285)
    (row,) = local_days([mixed], KOLKATA)
    assert (row["minutes"], row["wh"]) == (15, [300] * 96)
    assert row["quality"] == [13] + [0] * 95


@pytest.mark.parametrize(
    ("stretches", "why"),
    [
        ([stretch(datetime(2026, 3, 1, tzinfo=UTC), 24, minutes=60)], "number of intervals into"),
        ([stretch(MARCH, 2)] * 2, "stands in the file already"),
        ([stretch(MARCH, 2), stretch(MARCH, 2, minutes=15)], "others of 30 minutes on one day"),
        ([stretch(MARCH, 2, serial=one) for one in ("M1", "M2", "M1")], "its records together"),
    ],
)
def test_what_is_no_local_day_is_refused(stretches: list[Stretch], why: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        list(local_days(stretches, KOLKATA))
    assert why in str(caught.value)
