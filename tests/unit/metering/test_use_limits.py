"""First readings, the connected load and low use: what is judged without, and far below, a past."""

from datetime import date, timedelta

import pytest

from services.metering.outcomes import Validation
from services.metering.use_limits import standing_days, windows_of
from services.metering.validation import expected_range, validate_reading
from services.records.readings import ReadPoint
from services.records.use_limits import ClassUse, UseLimits

START = date(2025, 1, 1)
HOMES = ClassUse(meters=300, low_wh=2_000, high_wh=10_000)


def point(kwh: int, day: int) -> ReadPoint:
    return ReadPoint(register_wh=1000 * kwh, read_on=START + timedelta(days=day))


def judged(
    kwh: int,
    day: int,
    *history: ReadPoint,
    limits: UseLimits | None = None,
    multiplier_milli: int = 1000,
) -> Validation:
    read = point(kwh, day)
    return validate_reading(
        register_wh=read.register_wh,
        read_on=read.read_on,
        last_read=history[-1],
        history=history,
        dials=5,
        multiplier_milli=multiplier_milli,
        limits=limits,
    )


def outcome(found: Validation, rule: str) -> str:
    by_rule: dict[str, str] = {one.rule: one.outcome for one in found.outcomes}
    return by_rule.get(rule, "")


# 300 kWh a month for a year.
SETTLED = tuple(point(300 * n, 30 * n) for n in range(13))


class TestFirstReading:
    def test_an_added_digit_is_for_review_where_nothing_is_known(self) -> None:
        found = judged(91_117, 31, point(1000, 0), limits=UseLimits())
        assert found.verdict == "needs_review"
        assert outcome(found, "first_reading") == "review"
        assert "90,117 kWh in 31 days" in found.outcomes[-1].message

    def test_a_usual_one_is_accepted(self) -> None:
        for known in (None, HOMES):
            found = judged(1117, 31, point(1000, 0), limits=UseLimits(class_use=known))
            assert found.verdict == "accepted"
            assert outcome(found, "first_reading") == "pass"

    @pytest.mark.parametrize(
        ("used", "expected"), [(620, "pass"), (621, "review"), (13, "pass"), (12, "warn")]
    )
    def test_it_is_compared_with_others_of_its_tariff(self, used: int, expected: str) -> None:
        """10 kWh a day is what nine of ten use at most, 2 kWh what they use at least."""
        found = judged(1000 + used, 31, point(1000, 0), limits=UseLimits(class_use=HOMES))
        assert outcome(found, "first_reading") == expected

    def test_a_few_meters_make_no_class(self) -> None:
        few = ClassUse(meters=9, low_wh=1, high_wh=10)
        found = judged(1117, 31, point(1000, 0), limits=UseLimits(class_use=few))
        assert outcome(found, "first_reading") == "pass"

    @pytest.mark.parametrize(("multiplier", "expected"), [(1000, "review"), (100_000, "pass")])
    def test_the_setting_grows_with_the_multiplier(self, multiplier: int, expected: str) -> None:
        # 31,100 kWh in 31 days through a transformer of 100; as much of a plain meter is too much.
        kwh = 1000 + 31_100 * 1000 // multiplier
        found = judged(kwh, 31, point(1000, 0), limits=UseLimits(), multiplier_milli=multiplier)
        assert outcome(found, "first_reading") == expected

    def test_the_expected_range_ends_where_the_rule_begins(self) -> None:
        for limits in (UseLimits(), UseLimits(class_use=HOMES), UseLimits(connected_w=2000)):
            last = point(1000, 0)
            found = expected_range(
                read_on=point(0, 31).read_on,
                last_read=last,
                history=[last],
                dials=5,
                multiplier_milli=1000,
                limits=limits,
            )
            assert found is not None
            high = found.high_wh // 1000
            assert judged(high, 31, last, limits=limits).verdict == "accepted"
            assert judged(high + 1, 31, last, limits=limits).verdict == "needs_review"

    def test_the_first_use_of_a_meter_that_stood_still_is_one_too(self) -> None:
        still = tuple(point(1000, 30 * n) for n in range(7))
        found = judged(1300, 210, *still, limits=UseLimits())
        assert (found.verdict, outcome(found, "first_reading")) == ("accepted", "pass")
        assert judged(9000, 210, *still, limits=UseLimits()).verdict == "needs_review"

    def test_with_a_past_it_is_no_first_reading(self) -> None:
        found = judged(3900, 390, *SETTLED, limits=UseLimits(class_use=HOMES))
        assert outcome(found, "first_reading") == ""


class TestConnectedLoad:
    def test_nobody_uses_more_than_it_day_and_night(self) -> None:
        for limits in (UseLimits(connected_w=1000), UseLimits(connected_va=1000)):
            for used, expected in ((744, "pass"), (745, "review")):
                found = judged(1000 + used, 31, point(1000, 0), limits=limits)
                assert outcome(found, "above_connected_load") == expected

    def test_a_first_reading_seldom_is_of_all_that_is_connected(self) -> None:
        """Of 24 kWh a day 60 % are expected, where no class is known."""
        for used, expected in ((446, "pass"), (447, "review")):
            found = judged(1000 + used, 31, point(1000, 0), limits=UseLimits(connected_w=1000))
            assert outcome(found, "first_reading") == expected

    def test_a_class_is_compared_for_each_kw_where_that_is_known(self) -> None:
        """5 kWh a day of each kW: 10 kWh of 2 kW, and 1.4 times as much."""
        by_load = ClassUse(300, 2_000, 50_000, loaded_meters=10, low_wh_kw=1_000, high_wh_kw=5_000)
        for used, expected in ((434, "pass"), (435, "review")):
            limits = UseLimits(connected_w=2000, class_use=by_load)
            found = judged(1000 + used, 31, point(1000, 0), limits=limits)
            assert outcome(found, "first_reading") == expected
            said = next(o.message for o in found.outcomes if o.rule == "first_reading")
            assert "2.0 to 10.0 kWh a day with 2 kW connected" in said
        # Of its own load nothing is known: all that its tariff uses.
        found = judged(1435, 31, point(1000, 0), limits=UseLimits(class_use=by_load))
        assert outcome(found, "first_reading") == "pass"

    def test_it_holds_with_a_past_too(self) -> None:
        # 500 kWh are within what is expected beside 300 a month, but 0.6 kW cannot use them.
        found = judged(3600 + 500, 390, *SETTLED, limits=UseLimits(connected_w=600))
        assert outcome(found, "high_use") == "pass"
        assert outcome(found, "above_connected_load") == "review"


class TestLowUse:
    @pytest.mark.parametrize(
        ("used", "expected"), [(30, "review"), (125, "review"), (126, "pass"), (300, "pass")]
    )
    def test_below_all_that_is_expected_is_for_review(self, used: int, expected: str) -> None:
        """10 kWh a day × 45 %, less 0.3 kWh a day, are 126 kWh in 30 days."""
        assert outcome(judged(3600 + used, 390, *SETTLED), "low_use") == expected

    def test_a_short_past_only_warns(self) -> None:
        assert outcome(judged(630, 90, *SETTLED[:3]), "low_use") == "warn"

    def test_a_home_that_was_as_empty_before_only_warns(self) -> None:
        past = (*SETTLED[:12], point(3340, 360))
        assert outcome(judged(3375, 390, *past), "low_use") == "warn"

    def test_a_place_where_nobody_is_supplied_may_stand_still(self) -> None:
        vacant = UseLimits(occupied=False)
        assert judged(3600, 390, *SETTLED, limits=vacant).verdict == "accepted"

    def test_a_few_days_are_not_judged(self) -> None:
        assert outcome(judged(3601, 367, *SETTLED), "low_use") == "not_applicable"

    def test_a_settled_register_that_stands_still_is_for_review_at_once(self) -> None:
        once = judged(3600, 390, *SETTLED)
        assert (once.verdict, outcome(once, "zero_use")) == ("needs_review", "review")
        short = judged(900, 120, *SETTLED[:4])
        assert (short.verdict, outcome(short, "zero_use")) == ("accepted", "warn")
        twice = judged(3600, 420, *SETTLED, point(3600, 390))
        assert (twice.verdict, outcome(twice, "zero_use")) == ("needs_review", "review")
        # By now it is known to be unused.
        long_since = judged(3600, 570, *SETTLED, point(3600, 390), point(3600, 540))
        assert outcome(long_since, "zero_use") == "warn"

    def test_a_meter_that_is_read_each_week_is_asked_about_once_in_two_periods(self) -> None:
        still = [point(3600, 360 + 7 * week) for week in range(26)]
        asked = [
            week
            for week in range(1, 26)
            if outcome(judged(3600, 360 + 7 * week, *SETTLED, *still[1:week]), "zero_use")
            == "review"
        ]
        # After 56, 112 and 168 days; the reads of the other weeks need nobody.
        assert asked == [8, 16, 24]

    def test_a_home_that_was_never_used_is_not_asked_about(self) -> None:
        empty = tuple(point(1000, 30 * n) for n in range(4))
        assert judged(1000, 120, *empty).verdict == "accepted"


def test_windows_take_days_together_and_leave_falls_out() -> None:
    daily = [point(n, n) for n in range(41)]
    assert [(w.used_wh, w.days) for w in windows_of(daily, capacity_wh=10**8)] == [(20_000, 20)] * 2
    fallen = [point(500, 0), point(400, 30), point(430, 60)]
    assert [(w.used_wh, w.days) for w in windows_of(fallen, capacity_wh=10**8)] == [(30_000, 30)]


def test_standing_days_count_back_to_the_first_of_the_same_value() -> None:
    reads = [point(1, 0), point(5, 10), point(5, 20)]
    now = START + timedelta(days=25)
    assert standing_days(reads, register_wh=5000, read_on=now) == 15
    assert standing_days(reads, register_wh=6000, read_on=now) == 0
