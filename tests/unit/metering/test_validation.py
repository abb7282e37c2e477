"""The rules that decide whether a reading is plausible, and the sentences they say."""

import json
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.metering.outcomes import RuleOutcome, Validation
from services.metering.recent_use import UnableToCompareReads, usual_daily_use
from services.metering.register_arithmetic import ReadingTooLong, check_fits_dials, consumption_wh
from services.metering.validation import ExpectedRange, expected_range, validate_reading
from services.records.readings import ReadPoint

DATA = Path(__file__).parents[2] / "data" / "published_bills.json"
PUBLISHED = {entry["id"]: entry for entry in json.loads(DATA.read_text(encoding="utf-8"))}
START = date(2025, 1, 1)


def _point(kwh: str, day: int) -> ReadPoint:
    return ReadPoint(register_wh=int(Fraction(kwh) * 1000), read_on=START + timedelta(days=day))


def _validate(
    kwh: str, day: int, *history: ReadPoint, dials: int = 5, multiplier_milli: int = 1000
) -> Validation:
    read = _point(kwh, day)
    return validate_reading(
        register_wh=read.register_wh,
        read_on=read.read_on,
        last_read=history[-1],
        history=history,
        dials=dials,
        multiplier_milli=multiplier_milli,
    )


def _outcomes(validation: Validation) -> dict[str, str]:
    return {found.rule: found.outcome for found in validation.outcomes}


def _message(validation: Validation, rule: str) -> str:
    (message,) = (found.message for found in validation.outcomes if found.rule == rule)
    return message


# 13.3 kWh a day over 100 days.
USUAL = (_point("1000", 0), _point("1665", 50), _point("2330", 100))


@pytest.mark.parametrize("entry", ["nyseg-read", "otp-read", "rollover-5digit"])
def test_published_readings_give_the_published_use(entry: str) -> None:
    inputs = PUBLISHED[entry]["inputs"]
    used = consumption_wh(
        opening_wh=inputs["previous"] * 1000,
        closing_wh=inputs["present"] * 1000,
        dials=5,
        multiplier_milli=1000,
    )
    assert [["kwh", str(used // 1000)]] == PUBLISHED[entry]["expected_lines"]


@pytest.mark.parametrize(("milli", "wh"), [(1000, 125_001), (40_000, 5_000_040), (500, 62_501)])
def test_a_multiplier_applies_to_the_use_and_half_a_wh_rounds_up(milli: int, wh: int) -> None:
    used = consumption_wh(
        opening_wh=83_770_000, closing_wh=83_895_001, dials=5, multiplier_milli=milli
    )
    assert used == wh


@given(
    dials=st.integers(4, 9),
    opening=st.integers(0, 10**12 - 1),
    used=st.integers(0, 10**12 - 1),
)
@settings(deadline=None)
def test_use_survives_a_rollover(dials: int, opening: int, used: int) -> None:
    capacity = 10 ** (dials + 3)
    opening, used = opening % capacity, used % capacity
    closing = (opening + used) % capacity
    assert used == consumption_wh(
        opening_wh=opening, closing_wh=closing, dials=dials, multiplier_milli=1000
    )


def test_a_reading_with_more_digits_than_the_meter_is_refused() -> None:
    check_fits_dials(99_999_999, 5)
    with pytest.raises(ReadingTooLong) as refused:
        check_fits_dials(100_000_000, 5)
    assert str(refused.value) == (
        "This meter shows 5 digits, so a reading must be below 100000 kWh."
    )
    with pytest.raises(ReadingTooLong):
        _validate("100000", 131, *USUAL)


def test_usual_use_is_the_average_over_the_history() -> None:
    assert usual_daily_use(USUAL, 5, 1000) == 13_300
    assert usual_daily_use(tuple(reversed(USUAL)), 5, 1000) == 13_300
    assert usual_daily_use(USUAL, 5, 40_000) == 40 * 13_300
    assert usual_daily_use((_point("0", 0), _point("1", 3)), 5, 1000) == Fraction(1000, 3)


def test_usual_use_goes_on_over_a_rollover() -> None:
    reads = (_point("99900", 0), _point("99986", 10), _point("11", 20))
    assert usual_daily_use(reads, 5, 1000) == Fraction(111_000, 20)


@pytest.mark.parametrize(
    "history", [(), (_point("1", 0),), (_point("1", 0), _point("5", 0))], ids=len
)
def test_usual_use_is_not_known_without_two_reads_on_two_days(
    history: tuple[ReadPoint, ...],
) -> None:
    assert usual_daily_use(history, 5, 1000) is None


def test_a_reading_like_the_usual_passes_every_rule() -> None:
    found = _validate("2742.3", 131, *USUAL)
    assert _outcomes(found) == {
        "below_last_read": "pass",
        "high_use": "pass",
        "zero_use": "pass",
        "low_use": "pass",
    }
    assert found.verdict == "accepted"
    assert _message(found, "high_use") == (
        "412.3 kWh in 31 days is 1.0 times the usual 13.3 kWh a day."
    )


def test_more_than_three_times_the_usual_needs_review() -> None:
    found = _validate("3730", 131, *USUAL)
    assert _outcomes(found)["high_use"] == "review"
    assert found.verdict == "needs_review"
    assert _message(found, "high_use") == (
        "1,400 kWh in 31 days is 3.4 times the usual 13.3 kWh a day."
    )


def test_exactly_three_times_the_usual_passes_and_one_wh_more_does_not() -> None:
    assert _validate("3566.9", 131, *USUAL).verdict == "accepted"
    above = _validate("3566.901", 131, *USUAL)
    assert above.verdict == "needs_review"
    assert "is more than 3 times the usual" in _message(above, "high_use")


def test_high_use_is_judged_after_the_multiplier() -> None:
    found = _validate("2742.3", 131, *USUAL, multiplier_milli=40_000)
    assert _message(found, "high_use") == (
        "16,492 kWh in 31 days is 1.0 times the usual 532.0 kWh a day."
    )


def test_without_history_high_use_cannot_be_judged() -> None:
    found = _validate("9000", 31, _point("1000", 0))
    assert _outcomes(found)["high_use"] == "not_applicable"
    assert "usual use" in _message(found, "high_use")
    assert found.verdict == "accepted"


def test_any_use_where_none_is_usual_needs_review() -> None:
    found = _validate("50", 131, _point("10", 0), _point("10", 100))
    assert _outcomes(found)["high_use"] == "review"
    assert _message(found, "high_use") == ("40 kWh in 31 days is more than the usual 0 kWh a day.")


def test_no_use_warns_and_is_accepted() -> None:
    found = _validate("2330", 131, *USUAL)
    assert _outcomes(found) == {
        "below_last_read": "pass",
        "high_use": "pass",
        "zero_use": "warn",
        "low_use": "not_applicable",
    }
    assert found.verdict == "accepted"
    assert _message(found, "zero_use") == "Nothing was used in 31 days."


def test_below_the_last_read_needs_review_where_a_rollover_is_not_plausible() -> None:
    found = _validate("2300", 131, *USUAL)
    assert _outcomes(found) == {
        "below_last_read": "review",
        "high_use": "not_applicable",
        "zero_use": "not_applicable",
        "low_use": "not_applicable",
        "wrong_digit": "warn",
    }
    assert found.verdict == "needs_review"
    assert _message(found, "below_last_read") == (
        "2,300 kWh is below the last read of 2,330 kWh of 11 Apr 2025. A rollover from 99,999 to 0 "
        "is not plausible: it would mean 99,970 kWh in 31 days, 242.5 times the usual 13.3 kWh "
        "a day."
    )


def test_a_plausible_rollover_is_accepted_with_a_warning_that_names_it() -> None:
    found = _validate("11", 131, _point("98600", 0), _point("99986", 100))
    assert _outcomes(found) == {
        "below_last_read": "warn",
        "high_use": "pass",
        "zero_use": "pass",
        "low_use": "warn",
    }
    assert found.verdict == "accepted"
    assert _message(found, "below_last_read") == (
        "11 kWh is below the last read of 99,986 kWh of 11 Apr 2025. A rollover from 99,999 to 0 "
        "explains it: 25 kWh in 31 days, 0.1 times the usual 13.9 kWh a day."
    )


def test_a_rollover_is_plausible_up_to_three_times_the_usual_use() -> None:
    history = (_point("98900", 0), _point("99900", 100))  # 10 kWh a day: 300 kWh in 10 days
    assert _validate("200", 110, *history).verdict == "accepted"
    assert _validate("200.001", 110, *history).verdict == "needs_review"


def test_without_history_a_rollover_cannot_be_told_from_a_mistake() -> None:
    found = _validate("11", 31, _point("99986", 0))
    assert found.verdict == "needs_review"
    assert "rollover" in _message(found, "below_last_read")


def test_a_second_read_on_the_day_of_the_last_is_judged_as_one_day() -> None:
    assert _validate("2340", 100, *USUAL).verdict == "accepted"
    high = _validate("2430", 100, *USUAL)
    assert _message(high, "high_use") == (
        "100 kWh on the day of the last read is 7.5 times the usual 13.3 kWh a day."
    )
    same = _validate("2330", 100, *USUAL)
    assert _message(same, "zero_use") == "Nothing was used on the day of the last read."


def test_one_day_is_written_as_one_day() -> None:
    assert "in 1 day is" in _message(_validate("2340", 101, *USUAL), "high_use")


def test_a_read_before_the_last_one_cannot_be_judged_by_it() -> None:
    with pytest.raises(UnableToCompareReads):
        _validate("2340", 99, *USUAL)


def _late(kwh: str, day: int, following: ReadPoint, *history: ReadPoint) -> RuleOutcome:
    read = _point(kwh, day)
    found = validate_reading(
        register_wh=read.register_wh,
        read_on=read.read_on,
        last_read=history[-1],
        history=history,
        dials=5,
        multiplier_milli=1000,
        next_read=following,
    )
    assert found.outcomes[:-1] == _validate(kwh, day, *history).outcomes
    return found.outcomes[-1]


def test_a_late_reading_must_not_be_above_the_read_that_follows_it() -> None:
    following = _point("2742", 131)
    assert _late("2742", 120, following, *USUAL).outcome == "pass"
    above = _late("2742.001", 120, following, *USUAL)
    assert (above.rule, above.outcome) == ("above_next_read", "review")
    assert "2,742.001 kWh is above the next read of 2,742 kWh of 12 May 2025." in above.message


def test_a_late_reading_may_stand_before_the_rollover_of_the_next_read() -> None:
    history = (_point("98900", 0), _point("99900", 100))  # 10 kWh a day: 300 kWh in 10 days
    assert _late("99950", 105, _point("250", 115), *history).outcome == "warn"
    assert _late("99950", 105, _point("250.001", 115), *history).outcome == "review"


def test_without_history_a_late_reading_above_the_next_needs_review() -> None:
    assert _late("99950", 5, _point("25", 15), _point("99900", 0)).outcome == "review"


def test_a_late_reading_of_the_same_day_as_the_next_is_judged_as_one_day() -> None:
    history = (_point("98900", 0), _point("99900", 100))
    assert _late("99990", 105, _point("20", 105), *history).outcome == "warn"
    assert _late("99990", 105, _point("20.001", 105), *history).outcome == "review"


def _range(day: int, *history: ReadPoint, milli: int = 1000) -> ExpectedRange | None:
    return expected_range(
        read_on=START + timedelta(days=day),
        last_read=history[-1],
        history=history,
        dials=5,
        multiplier_milli=milli,
    )


def test_the_expected_range_goes_from_the_last_read_to_three_times_the_usual() -> None:
    assert _range(131, *USUAL) == ExpectedRange(low_wh=2_330_000, high_wh=3_566_900)


def test_the_expected_range_is_of_the_register_before_the_multiplier() -> None:
    assert _range(131, *USUAL, milli=40_000) == ExpectedRange(low_wh=2_330_000, high_wh=3_566_900)


def test_the_expected_range_goes_on_past_a_rollover() -> None:
    found = _range(110, _point("98900", 0), _point("99900", 100))
    assert found == ExpectedRange(low_wh=99_900_000, high_wh=200_000)


def test_nothing_is_expected_without_history_or_where_every_value_would_be() -> None:
    assert _range(31, _point("1000", 0)) is None
    assert _range(3000, _point("0", 0), _point("5000", 100)) is None


@given(
    used=st.integers(0, 10**7),
    span=st.integers(1, 400),
    days=st.integers(0, 60),
    milli=st.sampled_from([1, 500, 999, 1000, 1333, 40_000]),
)
@settings(deadline=None)
def test_the_top_of_the_expected_range_passes_and_the_next_wh_that_counts_does_not(
    used: int, span: int, days: int, milli: int
) -> None:
    first = ReadPoint(register_wh=5_000_000, read_on=START)
    last = ReadPoint(register_wh=5_000_000 + used, read_on=START + timedelta(days=span))
    on = last.read_on + timedelta(days=days)
    meter: dict[str, Any] = {
        "read_on": on,
        "last_read": last,
        "history": (first, last),
        "dials": 6,
        "multiplier_milli": milli,
    }
    expected = expected_range(**meter)
    assume(expected is not None and last.register_wh <= expected.high_wh < 10**9 - 1)
    assert expected is not None
    assert validate_reading(register_wh=expected.high_wh, **meter).verdict == "accepted"
    assert validate_reading(register_wh=expected.high_wh + 1, **meter).verdict == "needs_review"


def test_a_validation_survives_json() -> None:
    found = _validate("2300", 131, *USUAL)
    written = found.to_json()
    assert written["verdict"] == "needs_review"
    assert written["rules"][0]["rule"] == "below_last_read"
    assert Validation.from_json(json.loads(json.dumps(written))) == found


def test_one_review_outweighs_every_pass_and_warning() -> None:
    found = Validation(
        (
            RuleOutcome("below_last_read", "pass", ""),
            RuleOutcome("zero_use", "warn", ""),
            RuleOutcome("high_use", "review", ""),
        )
    )
    assert found.verdict == "needs_review"


@pytest.mark.parametrize(("days", "told"), [(62, False), (63, True)])
def test_a_bill_over_more_than_two_months_is_told(days: int, told: bool) -> None:
    opening = ReadPoint(register_wh=1_000_000, read_on=date(2026, 1, 1))
    found = validate_reading(
        register_wh=1_100_000,
        read_on=opening.read_on + timedelta(days=days),
        last_read=opening,
        history=[opening],
        dials=5,
        multiplier_milli=1000,
        opening_on=opening.read_on,
    )
    said = [r.message for r in found.outcomes if r.rule == "long_period"]
    since = "since the last billed read of 1 Jan 2026"
    assert said == ([f"A bill up to this read covers 63 days, {since}."] if told else [])
    assert found.verdict == "accepted"
