"""What the rules found, together: the verdict, and whether a reading is suspicious."""

from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.languages.catalogues import OFFERED
from services.languages.language import Language
from services.languages.sentence import Sentence
from services.metering.digit_rules import swapped_meters
from services.metering.interval_rules import interval_outcomes
from services.metering.outcomes import RuleOutcome, Validation, why_suspicious
from services.metering.recent_use import UnableToCompareReads
from services.metering.register_arithmetic import ReadingTooLong
from services.metering.register_validation import RegisterRules
from services.metering.validation import validate_reading
from services.records.readings import IntervalDay, ReadPoint
from services.records.use_limits import ClassUse, UseLimits, ValidationLimits

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


LANGUAGES = [Language.of(tag) for tag in OFFERED if tag != "en"]
LIMITS = st.sampled_from(
    [
        None,
        UseLimits(),
        UseLimits(connected_w=2500),
        UseLimits(connected_va=800, validation=ValidationLimits(change_percent=40, outlier_iqr=3)),
        UseLimits(class_use=ClassUse(meters=40, low_wh=4_000, high_wh=21_500)),
        UseLimits(
            connected_w=5000,
            class_use=ClassUse(
                40, 4_000, 21_500, loaded_meters=30, low_wh_kw=900, high_wh_kw=4_400
            ),
        ),
    ]
)
STEPS = st.lists(
    st.tuples(st.integers(0, 40), st.sampled_from([0, 0, 250, 9_000, 300_000, 1_234_500])),
    min_size=1,
    max_size=10,
)


def past(steps: Sequence[tuple[int, int]], began: int) -> list[ReadPoint]:
    reads = [ReadPoint(began, START)]
    for days, wh in steps:
        before = reads[-1]
        shown = (before.register_wh + wh) % 10_000_000
        reads.append(ReadPoint(shown, before.read_on + timedelta(days=days), {"r": shown // 2}))
    return reads


def assert_said(found: Sequence[RuleOutcome]) -> None:
    """Each finding is said in each language, and as well from the English that is stored."""
    for one in found:
        assert isinstance(one.message, Sentence), one
        for language in LANGUAGES:
            said = language.say(one.message)
            assert language.say(str(one.message)) == said, (language.tag, one.message)
            assert said != one.message, (language.tag, one.message)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=STEPS,
    began=st.sampled_from([0, 1_000_000, 9_999_000]),
    read=st.tuples(st.integers(0, 70), st.integers(0, 9_999_999)),
    near=st.booleans(),
    limits=LIMITS,
    waits=st.booleans(),
    follows=st.booleans(),
    milli=st.sampled_from([1000, 40_000]),
)
def test_each_finding_is_said_in_each_language_also_as_it_is_stored(
    *,
    steps: list[tuple[int, int]],
    began: int,
    read: tuple[int, int],
    near: bool,
    limits: UseLimits | None,
    waits: bool,
    follows: bool,
    milli: int,
) -> None:
    history = past(steps, began)
    last = history[-1]
    read_on = last.read_on + timedelta(days=read[0])
    shown = (last.register_wh + read[1] % 400_000) % 10_000_000 if near else read[1]
    waiting = ReadPoint((last.register_wh + shown) // 2, last.read_on + timedelta(days=1))
    after = ReadPoint(shown // 2, read_on + timedelta(days=30), {"r": 1})
    with_registers = ReadPoint(shown, read_on, {"r": shown // 3, "max": shown})
    rules = RegisterRules(
        read=with_registers,
        last_read=last,
        next_read=after if follows else None,
        history=[*history, ReadPoint(0, START, {"max": 900})],
        calendars=[[("r",), ("night",)]],
        dials=4,
        multiplier_milli=milli,
    )
    try:
        found = validate_reading(
            register_wh=shown,
            read_on=read_on,
            last_read=last,
            history=history,
            dials=4,
            multiplier_milli=milli,
            next_read=after if follows else None,
            opening_on=START,
            limits=limits,
            waiting=[waiting] if waits else [],
            other_registers={"1.8.1": max(shown - 200_000, 0)},
        ).outcomes
        registers = rules.outcomes() if last.registers else []
    except (UnableToCompareReads, ReadingTooLong):
        return
    assert_said([*found, *registers])


def test_findings_about_intervals_and_other_meters_are_said_too() -> None:
    days = [IntervalDay(day=START, minutes=60, wh=(100,) * 23 + (90_000,))]
    days += [IntervalDay(day=START + timedelta(days=n), minutes=60, wh=(100,) * 24) for n in (1, 2)]
    about_intervals = interval_outcomes(
        days,
        opening=ReadPoint(0, START),
        closing=ReadPoint(500_500, START + timedelta(days=2)),
        dials=5,
        multiplier_milli=1000,
    )
    assert [one.outcome for one in about_intervals] == ["review", "warn"]
    assert_said([*about_intervals, swapped_meters("4711", 5)])


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        (
            "en",
            (
                "1,400.5 kWh in 30 days is 4.7 times the usual 10.0 kWh a day; "
                "4.2 to 19.0 is expected."
            ),
        ),
        (
            "es",
            (
                "1.400,5 kWh en 30 días: 4,7 veces los 10,0 kWh al día habituales; "
                "se espera de 4,2 a 19,0."
            ),
        ),
        (
            "sw",
            (
                "kWh 1,400.5 kwa siku 30: mara 4.7 ya kawaida ya kWh 10.0 kwa siku; "
                "4.2 hadi 19.0 inatarajiwa."
            ),
        ),
    ],
)
def test_a_finding_has_the_numbers_of_its_language(tag: str, said: str) -> None:
    last = STEADY[-1]
    found = validate_reading(
        register_wh=last.register_wh + 1_400_500,
        read_on=last.read_on + timedelta(days=30),
        last_read=last,
        history=STEADY,
        dials=5,
        multiplier_milli=1000,
    )
    high = next(one.message for one in found.outcomes if one.rule == "high_use")
    assert Language.of(tag).say(str(high)) == said
