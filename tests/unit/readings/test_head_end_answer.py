"""What a head-end answered is believed only where a meter can have sent it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.readings.head_end_answer import check_not_before, submission_of
from services.readings.submission import InvalidReading, Submission
from services.records.readings import Meter

NOW = datetime(2026, 11, 1, 3, 0, tzinfo=UTC)
METER = Meter(
    id="m1",
    serial="S1",
    kind="smart",
    dials=5,
    multiplier_milli=1000,
    status="active",
    opened_on=date(2026, 10, 1),
    customer_id=None,
    account_no=None,
    customer_name=None,
    address=None,
    tariff_id=None,
    tariff_code=None,
    tariff_name=None,
    currency=None,
    registers=("peak",),
)


def taken(**answer: Any) -> Submission:
    whole = {"serial": "S1", "reading_kwh": "1117.5", "read_at": NOW.isoformat()} | answer
    return submission_of(
        whole,
        meter=METER,
        zone=ZoneInfo("Asia/Kolkata"),
        now=NOW,
        max_age=timedelta(days=3),
    )


@pytest.mark.parametrize(
    ("answer", "wh"),
    [
        ({}, 1_117_500),
        ({"reading_kwh": 1117, "unit": "kWh"}, 1_117_000),
        ({"reading_kwh": 1117500, "unit": "Wh"}, 1_117_500),
        ({"reading_kwh": "1117500", "unit": " wh "}, 1_117_500),
        ({"reading_kwh": Decimal("1117500.00"), "unit": "Wh"}, 1_117_500),
    ],
)
def test_kwh_and_wh_are_one_energy(answer: dict[str, Any], wh: int) -> None:
    assert taken(**answer).register_wh == wh


def test_registers_have_the_unit_of_the_total_and_others_are_left_out() -> None:
    got = taken(reading_kwh=1117500, unit="Wh", registers={"Peak": 400000, "voltage": "231"})
    assert got.registers == {"peak": 400_000}


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"serial": "S2"}, "another meter"),
        ({"unit": "MWh"}, "kWh or Wh, not 'MWh'"),
        ({"unit": None}, "kWh or Wh"),
        ({"unit": "Wh", "reading_kwh": "1117.5"}, "whole number"),
        ({"reading_kwh": "many"}, "must be a number"),
        ({"reading_kwh": True}, "must be a number"),
        ({"reading_kwh": "-1"}, "negative"),
        ({"reading_kwh": "1e9"}, "all its digits"),
        ({"reading_kwh": "1.2345"}, "3 decimals"),
        ({"read_at": "2026-11-01T08:30:00"}, "no time zone"),
        ({"read_at": "2026-11-01"}, "no time zone"),
        ({"read_at": (NOW + timedelta(minutes=6)).isoformat()}, "in the future"),
        ({"read_at": (NOW - timedelta(days=3, minutes=1)).isoformat()}, "too long ago"),
        ({"read_at": 1_800_000_000}, "read_at"),
        ({"registers": [1]}, "registers"),
    ],
)
def test_what_no_meter_sends_is_not_believed(answer: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidReading, match=sentence):
        taken(**answer)


def test_clocks_may_be_five_minutes_apart_and_a_reading_three_days_old() -> None:
    for at in (NOW + timedelta(minutes=5), NOW - timedelta(days=3)):
        assert taken(read_at=at.isoformat()).read_at == at


def test_a_reading_from_before_the_last_one_is_not_believed() -> None:
    got = taken()
    check_not_before(got, last_read_at=None)
    check_not_before(got, last_read_at=NOW)
    with pytest.raises(InvalidReading, match="before the last one"):
        check_not_before(got, last_read_at=NOW + timedelta(seconds=1))
