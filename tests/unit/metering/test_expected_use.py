"""What a meter is expected to use: by its recent use, last year and similar meters."""

from datetime import date, timedelta

import pytest

from services.metering.expected_use import ExpectedUse, expected_use
from services.metering.peers import PeerUses
from services.metering.use_limits import Window
from services.records.use_limits import ClassUse, PeerUse, ValidationLimits

START = date(2025, 1, 1)


def windows(*daily_kwh: int, days: int = 30) -> list[Window]:
    return [
        Window(1000 * kwh * days, days, START + timedelta(days=days * (n + 1)))
        for n, kwh in enumerate(daily_kwh)
    ]


def expected(
    past: list[Window],
    *,
    peers: list[PeerUse] | None = None,
    days: int = 30,
    milli: int = 1000,
    limits: ValidationLimits | None = None,
) -> ExpectedUse:
    found = expected_use(
        past,
        read_on=past[-1].until + timedelta(days=days),
        days=days,
        multiplier_milli=milli,
        peers=peers or [],
        limits=limits or ValidationLimits(),
    )
    assert found is not None
    return found


def test_three_windows_are_no_settled_past() -> None:
    past = windows(10, 10, 10)
    limits = ValidationLimits()
    at = past[-1].until + timedelta(days=30)
    assert (
        expected_use(past, read_on=at, days=30, multiplier_milli=1000, peers=(), limits=limits)
        is None
    )


def test_a_steady_meter_has_the_narrowest_band() -> None:
    """10 kWh × 180 % + 1 kWh; 10 kWh × 45 % less 0.3 kWh."""
    found = expected(windows(10, 10, 10, 10))
    assert (found.low_wh, found.high_wh) == (4_200, 19_000)


def test_a_meter_that_changes_much_has_more_room_up_to_the_widest() -> None:
    """10 to 16 is 1.594 with 0.1 kWh more on either side; × 130 % = 206 %."""
    found = expected(windows(10, 16, 10, 16))
    assert found.high_wh == 16_000 * 206 // 100 + 1000
    assert expected(windows(1, 30, 1, 30)).high_wh == 30_000 * 3 + 1000


def test_a_month_far_off_both_its_neighbours_is_left_out() -> None:
    steady = expected(windows(*[10] * 8))
    assert expected(windows(10, 10, 10, 30, 10, 10, 10, 10)).high_wh == steady.high_wh
    assert expected(windows(10, 10, 10, 1, 10, 10, 10, 10)).low_wh == steady.low_wh
    # A new level is none, nor is the last month: what follows it is not known.
    assert expected(windows(10, 10, 10, 30, 30, 30, 30, 30)).high_wh == 55_000
    assert expected(windows(10, 10, 10, 10, 10, 10, 10, 30)).high_wh == 55_000


def test_the_same_season_last_year_is_expected_with_this_years_growth() -> None:
    past = windows(30, 10, 10, 10, 10, 10, 10, 10, 10, 20, 20, 20)
    found = expected(past, days=35)
    assert found.of("recent") == 20_000
    assert found.of("last year") == 30_000
    # Nothing is known of the periods before it, so nothing of its growth.
    assert found.of("last year, scaled") is None
    # With two windows and more of that year, how much more is used now.
    longer = windows(10, 10, 10, 30, 30, 10, 10, 10, 10, 10, 10, 10, 20, 20, 20)
    assert expected(longer, days=35).of("last year, scaled") == 60_000


def test_what_a_meter_used_on_average_is_never_high() -> None:
    """A home that stood empty for half a year is lived in again."""
    past = windows(10, 12, 10, 12, 0, 0, 0, 0)
    assert expected(past).high_wh == 11_000


def test_of_a_meter_that_was_never_used_nothing_is_expected() -> None:
    past, limits = windows(0, 0, 0, 0, 0), ValidationLimits()
    at = past[-1].until + timedelta(days=30)
    assert (
        expected_use(past, read_on=at, days=30, multiplier_milli=1000, peers=(), limits=limits)
        is None
    )


HEATED = [PeerUse((4000, 4000, 4000, 1000, 250 + n)) for n in range(9)]
STEADY = [PeerUse((1000,) * 5)] * 40


def test_similar_meters_explain_a_season() -> None:
    """A heated home falls to a quarter in spring, as the homes did that fell like it before."""
    past = windows(40, 40, 40, 10)
    alone = expected(past)
    found = expected(past, peers=HEATED + STEADY)
    assert found.of("similar meters") == 10_000 * 252 // 1000
    # What it used of late says little now, and is not heard.
    assert found.of("recent") is None
    assert found.high_wh < alone.high_wh // 4
    assert expected(past, peers=HEATED[:4]) == alone


def test_peers_that_did_not_move_like_a_meter_before_say_nothing_of_it() -> None:
    """It jumps from month to month: that they were steady narrows nothing."""
    past = windows(40, 8, 36, 10, 40, 9)
    found = expected(past, peers=STEADY)
    assert found.high_wh > 40_000
    assert found.low_wh < 9_000


def test_after_two_months_peers_are_compared_over_two() -> None:
    """They fell from 20 kWh a day to 5 and rose to 15: 10 on average."""
    peers = [PeerUse((40, 40, 40, 20, 5, 15))] * 9
    found = expected(windows(40, 40, 40, 20), peers=peers, days=61)
    assert found.of("similar meters") == 10_000
    beyond = expected(windows(40, 40, 40, 20), peers=peers, days=150)
    assert beyond.of("similar meters") is None


def test_doubted_peers_that_jump_alike_explain_nothing() -> None:
    """Five wrong readings do not let the sixth pass; half of a neighbourhood is no mistake."""
    past = windows(10, 10, 10, 10)
    jumped = [PeerUse((10, 10, 10, 10, 40), doubted=True)] * 5
    still = [PeerUse((10, 11, 10, 11, 11))] * 9
    alone = expected(past)
    assert expected(past, peers=jumped) == alone
    assert expected(past, peers=jumped * 2) == alone
    assert expected(past, peers=jumped + still).high_wh == alone.high_wh
    assert expected(past, peers=jumped * 2 + still[:5]).high_wh > 40_000


def test_last_year_alone_is_heard_where_its_growth_is_even() -> None:
    """A heat pump used three times as much in its second year, month by month."""
    first = (40, 36, 24, 8, 4, 3, 3, 3, 4, 12, 28, 36)
    past = windows(*first, *(3 * kwh for kwh in first[:5]), days=30)
    found = expected(past, days=35)
    assert found.of("recent") is None
    assert found.of("last year") == 3_000


def test_a_meter_that_nothing_foretells_may_use_what_it_ever_used() -> None:
    past = windows(20, 90, 5, 30, 60, 25, 70, 40)
    found = expected(past)
    assert found.low_wh <= 5_000 * 45 // 100 - 300
    assert found.high_wh >= 90_000 * 150 // 100


def test_a_few_days_may_vary_as_much_as_the_widest_band() -> None:
    assert expected(windows(10, 10, 10, 10), days=7).high_wh == 31_000


def test_the_band_is_after_the_multiplier() -> None:
    assert expected(windows(10, 10, 10, 10), milli=40_000).high_wh == 400_000 * 180 // 100 + 1000


@pytest.mark.parametrize(("percent", "high_wh"), [(150, 16_000), (500, 51_000)])
def test_the_limits_are_settings(percent: int, high_wh: int) -> None:
    limits = ValidationLimits(high_percent=percent)
    assert expected(windows(10, 10, 10, 10), limits=limits).high_wh == high_wh


class TestPeers:
    def test_those_of_the_days_before_speak_of_the_same_period(self) -> None:
        peers, use = PeerUses(), PeerUse((10_000, 20_000, 10_000))
        peers.add_uses("A", START, use.daily_wh)
        assert peers.beside("B", START) == [use]
        assert peers.beside("B", START + timedelta(days=10)) == [use]
        assert peers.beside("B", START + timedelta(days=11)) == []
        assert peers.beside("B", START - timedelta(days=1)) == []

    def test_a_meter_is_not_beside_itself(self) -> None:
        peers = PeerUses()
        peers.add_uses("A", START, (10, 20))
        assert peers.beside("A", START + timedelta(days=5)) == []

    def test_a_read_that_waits_is_doubted(self) -> None:
        peers = PeerUses()
        peers.add_uses("A", START, (10, 20))
        assert not peers.beside("B", START)[0].doubted
        peers.doubt("A", START)
        assert peers.beside("B", START)[0].doubted

    def test_the_newest_read_of_a_meter_counts_and_no_more_than_sixty_do(self) -> None:
        peers = PeerUses()
        peers.add_uses("A", START, (10, 20))
        peers.add_uses("A", START + timedelta(days=2), (10, 30))
        assert peers.beside("B", START + timedelta(days=3)) == [PeerUse((10, 30))]
        for n in range(80):
            peers.add_uses(f"M{n}", START, (10, 20))
        assert len(peers.beside("B", START + timedelta(days=3))) == 60
        assert len(peers.beside("A", START + timedelta(days=3))) == 60

    def test_a_meter_that_stood_still_says_nothing(self) -> None:
        assert PeerUse((10_000, 0, 10_000)).move(1) is None
        assert PeerUse((10_000, 20_000, 10_000)).move(1) == (500, (693,))

    def test_the_class_is_also_known_for_each_kw_of_connected_load(self) -> None:
        peers = PeerUses()
        for n in range(1, 12):
            peers.add_use(f"M{n}", 1000 * n, load_w=2000)
        peers.add_use("N", 99_000, load_w=None)
        assert peers.class_use() == ClassUse(12, 2_000, 10_000, 11, 1_000, 5_000)

    def test_a_meter_counts_once_with_its_latest_use(self) -> None:
        peers = PeerUses()
        peers.add_use("A", 1000, load_w=None)
        peers.add_use("A", 3000, load_w=None)
        assert peers.class_use() == ClassUse(1, 3000, 3000)
