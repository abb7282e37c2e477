"""What the rules found, together: the verdict, and whether a reading is suspicious."""

from datetime import date, timedelta

import pytest

from services.metering.outcomes import RuleOutcome, Validation, why_suspicious
from services.metering.validation import validate_reading
from services.records.readings import ReadPoint
from services.records.use_limits import UseLimits

START = date(2025, 1, 1)
# 10 kWh a day in eight periods: 4.2 to 19 kWh a day pass, and 7.9 to 15.3 are the inner half.
STEADY = [ReadPoint(1_000_000 + 300_000 * n, START + timedelta(days=30 * n)) for n in range(9)]


def suspicion(kwh_a_day: int, history: list[ReadPoint], limits: UseLimits | None = None) -> str:
    last = history[-1]
    found = validate_reading(
        register_wh=last.register_wh + kwh_a_day * 30_000,
        read_on=last.read_on + timedelta(days=30),
        last_read=last,
        history=history,
        dials=5,
        multiplier_milli=1000,
        limits=limits,
    )
    return why_suspicious(found)


@pytest.mark.parametrize("kwh_a_day", [8, 10, 12, 15])
def test_the_inner_half_of_what_passes_is_not_unusual(kwh_a_day: int) -> None:
    assert suspicion(kwh_a_day, STEADY) == ""


@pytest.mark.parametrize(
    ("kwh_a_day", "why"),
    [
        (7, "The use is in the lower quarter of what passes."),
        (16, "The use is in the upper quarter of what passes."),
        (4, "A rule doubts it."),
        (20, "A rule doubts it."),
        (0, "A rule doubts it."),
    ],
)
def test_near_a_limit_or_beyond_it_a_reading_is_suspicious(kwh_a_day: int, why: str) -> None:
    assert suspicion(kwh_a_day, STEADY) == why


def test_a_first_reading_and_one_with_little_past_are_suspicious() -> None:
    assert suspicion(10, STEADY[:1], UseLimits()) == "It is a first reading."
    short = "The meter's past is too short to say what is expected of it."
    assert suspicion(10, STEADY[:1]) == short
    assert suspicion(10, STEADY[:4]) == short
    assert suspicion(10, STEADY[:5]) == ""


def test_what_else_doubts_it_counts_and_what_could_not_be_judged_does_not() -> None:
    passed = RuleOutcome("high_use", "pass", "", {"used_wh": 5, "least_wh": 0, "most_wh": 10})
    photo = RuleOutcome("photo", "not_applicable", "AI could not read the photo for sure.")
    found = Validation((passed,))
    assert why_suspicious(found.with_outcomes([photo])) == ""
    for outcome in ("warn", "review"):
        doubt = RuleOutcome("interval_spike", outcome, "")
        assert why_suspicious(found.with_outcomes([doubt])) == "A rule doubts it."


def test_a_long_bill_says_nothing_of_the_reading() -> None:
    passed = RuleOutcome("high_use", "pass", "", {"used_wh": 5, "least_wh": 0, "most_wh": 10})
    long = RuleOutcome("long_period", "warn", "A bill up to this read covers 91 days.")
    assert why_suspicious(Validation((passed, long))) == ""
