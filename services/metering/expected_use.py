"""What a meter is expected to use a day: by its recent use, the same season last year, and peers.

All uses are whole Wh a day, after the multiplier. Each source is as wide as it is unsure for this
meter, and one that is far less sure than the best is not heard: a heat pump's last month says
little where others like it, or its last year, say much. What is left makes an envelope, which has
fewer false alarms than any one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from math import exp
from operator import sub
from typing import Final, Literal

from services.metering.use_limits import Window
from services.records.use_limits import PeerUse, ValidationLimits, changes_of

Source = Literal["recent", "last period", "last year", "last year, scaled", "similar meters"]

# Fewer windows than these are no settled past: only far too much is doubted then.
SETTLED_WINDOWS: Final = 4
RECENT_WINDOWS: Final = 3
# Like periods a year ago may end some days earlier or later.
SEASON_DAYS: Final = 20
_YEAR: Final = timedelta(days=365)
_MONTH_DAYS: Final = 30
# A year's growth beyond a factor of two says nothing of the season.
_LEAST_TREND, _MOST_TREND = 50, 200
# The room beside the changes seen so far, and Wh a day that matter to nobody.
_ROOM_PERCENT: Final = 130
_ROOM_HIGH_WH: Final = 1_000
_ROOM_LOW_WH: Final = 300
_SMALL_WH: Final = 100
# A window is an excursion at less than two thirds or more than 1.5 times two neighbours alike.
EXCURSION_PERCENT: Final = 150
ALIKE_PERCENT: Final = 160
# How far a source is off at least, and where a year ago was not compared with anything yet.
_LEAST_SPREAD: Final = 120
_YEAR_SPREAD: Final = 130
_UNKNOWN_YEAR_SPREAD: Final = 150
# A source that is off by more than twice the best one's spread is not heard.
_HEARD_PERCENT: Final = 200
# A meter that nothing foretells better than this may use again what it ever used.
_ERRATIC_PERCENT: Final = 140
_EVER_LOW_PERCENT, _EVER_HIGH_PERCENT = 45, 150
# Peers that speak for a meter: those that moved most like it in the periods before.
NEAREST_PEERS: Final = 9
LEAST_PEERS: Final = 5
_FARTHEST: Final = 20_000


@dataclass(frozen=True, slots=True)
class ExpectedUse:
    """The uses of a day, in Wh, that pass, and the expectations that they come from."""

    low_wh: int
    high_wh: int
    expectations: tuple[tuple[Source, int], ...]

    def of(self, source: Source) -> int | None:
        """One expectation, in Wh a day; None where there is none of the kind."""
        return next((wh for name, wh in self.expectations if name == source), None)


def daily_uses(windows: Sequence[Window], multiplier_milli: int) -> list[int]:
    """Wh a day of each window, after the multiplier."""
    return [_daily(window.used_wh, window.days, multiplier_milli) for window in windows]


def expected_use(
    windows: Sequence[Window],
    *,
    read_on: date,
    days: int,
    multiplier_milli: int,
    peers: Sequence[PeerUse] = (),
    limits: ValidationLimits,
) -> ExpectedUse | None:
    """What is expected of a read on a local date, `days` after the last; None without settled past.

    `windows` are the past in stretches of about a month, the oldest first.
    """
    if len(windows) < SETTLED_WINDOWS or not any(window.used_wh for window in windows):
        return None
    average = _mean([window for window in windows if window.used_wh], multiplier_milli)
    ever = daily_uses(windows, multiplier_milli)
    windows = _without_excursions(windows)
    daily = daily_uses(windows, multiplier_milli)
    found = [
        _by_recent(windows, daily, multiplier_milli),
        _by_last_year(windows, daily, read_on),
        _by_peers(ever, peers, days),
    ]
    heard, best = _heard([source for source in found if source is not None])
    bands = [_band(source, days, limits) for source in heard]
    if best > _ERRATIC_PERCENT:
        bands.append((min(ever) * _EVER_LOW_PERCENT // 100, max(ever) * _EVER_HIGH_PERCENT // 100))
    # What a meter used on average while it was used is never high: an empty home is lived in.
    # Where last year or others explain how little was used of late, it is no empty home.
    least_high = average if heard[0].is_recent else 0
    return ExpectedUse(
        low_wh=max(min(low for low, _ in bands) - _ROOM_LOW_WH, 0),
        high_wh=max(max(high for _, high in bands) + _ROOM_HIGH_WH, least_high),
        expectations=tuple(use for source in heard for use in source.uses),
    )


@dataclass(frozen=True, slots=True)
class _Expectation:
    """What one source expects, and how far off it is with this meter, as a percentage from 100."""

    uses: tuple[tuple[Source, int], ...]
    spread_percent: int

    @property
    def is_recent(self) -> bool:
        return self.uses[0][0] == "recent"


def _heard(found: Sequence[_Expectation]) -> tuple[list[_Expectation], int]:
    """The sources that are not far less sure than the best one, and its spread."""
    best = max(min(source.spread_percent for source in found), _LEAST_SPREAD)
    return [one for one in found if one.spread_percent * 100 <= best * _HEARD_PERCENT], best


def _band(source: _Expectation, days: int, limits: ValidationLimits) -> tuple[int, int]:
    """The lowest and highest use that a source lets pass, within what the settings say."""
    room = _ROOM_PERCENT * source.spread_percent // 100
    # Some days vary more than a month does.
    high = limits.widest_high_percent
    if days >= SEASON_DAYS:
        high = _between(room, limits.high_percent, limits.widest_high_percent)
    least_low = min(limits.widest_low_percent, limits.low_percent)
    low = max(min(10_000 // room, limits.low_percent), least_low)
    uses = [wh for _, wh in source.uses]
    return min(uses) * low // 100, max(uses) * high // 100


def _by_recent(
    windows: Sequence[Window], daily: Sequence[int], multiplier_milli: int
) -> _Expectation:
    """The last windows; off by the largest change between any two, or the second largest of six."""
    recent = _mean(windows[-RECENT_WINDOWS:], multiplier_milli)
    changes = sorted(_apart(a + _SMALL_WH, b + _SMALL_WH) // 10 for a, b in pairwise(daily))
    spread = changes[-1] if len(changes) < 6 else changes[-2]
    return _Expectation((("recent", recent), ("last period", daily[-1])), spread)


def _by_last_year(
    windows: Sequence[Window], daily: Sequence[int], read_on: date
) -> _Expectation | None:
    """The same period a year ago, as it was and with this year's growth.

    It is off by as much as the growth differs from one of the last windows to the next.
    """
    at = _a_year_before(windows, read_on)
    if at is None or not daily[at]:
        return None
    season = daily[at]
    growths = sorted(
        daily[n] * 100 // daily[before]
        for n in range(len(windows) - RECENT_WINDOWS, len(windows))
        if (before := _a_year_before(windows, windows[n].until)) is not None and daily[before]
    )
    if len(growths) < 2:
        return _Expectation((("last year", season),), _UNKNOWN_YEAR_SPREAD)
    growth = _between(growths[len(growths) // 2], _LEAST_TREND, _MOST_TREND)
    return _Expectation(
        (("last year", season), ("last year, scaled", season * growth // 100)),
        max(_apart(growths[0], growths[-1]) // 10, _YEAR_SPREAD),
    )


def _a_year_before(windows: Sequence[Window], on: date) -> int | None:
    """The window that ended nearest to the day a year earlier."""
    day = on - _YEAR
    near = [
        (apart, at)
        for at, window in enumerate(windows)
        if (apart := abs((window.until - day).days)) <= SEASON_DAYS
    ]
    return min(near)[1] if near else None


def _by_peers(daily: Sequence[int], peers: Sequence[PeerUse], days: int) -> _Expectation | None:
    """How the meters moved that moved most like this one before: the middle half of their moves.

    It is off by as much as those differ, and as they differed from this one before.
    """
    changes = changes_of(daily)
    periods = max((days + _MONTH_DAYS // 2) // _MONTH_DAYS, 1)
    moves = [move for peer in _speaking(peers) if (move := peer.move(periods)) is not None]
    # How far a peer's changes were from this meter's on average, in thousandths of logarithm.
    unlikes = [
        sum(map(abs, map(sub, past, changes))) // min(len(past), len(changes)) for _, past in moves
    ]
    nearest = sorted(zip(unlikes, (now for now, _ in moves), strict=True))[:NEAREST_PEERS]
    if len(nearest) < LEAST_PEERS:
        return None
    now = sorted(milli for _, milli in nearest)
    quarter = len(now) // 4
    middle = (now[quarter], now[len(now) // 2], now[-1 - quarter])
    unlike = round(1000 * exp(nearest[LEAST_PEERS - 1][0] / 1000))
    apart = max(_apart(middle[0], middle[-1]), unlike)
    return _Expectation(
        tuple(("similar meters", daily[-1] * milli // 1000) for milli in middle),
        max(apart // 10, _LEAST_SPREAD),
    )


def _speaking(peers: Sequence[PeerUse]) -> Sequence[PeerUse]:
    """Those that are not doubted, and the doubted too once they are half of all.

    Even then some must be accepted: wrong readings that are alike do not make each other right.
    """
    accepted = [peer for peer in peers if not peer.doubted]
    many = len(accepted) >= LEAST_PEERS and 2 * len(accepted) <= len(peers)
    return peers if many else accepted


def _without_excursions(windows: Sequence[Window]) -> list[Window]:
    """The past without single windows far off both neighbours: an empty month, a guest.

    The last one stays: what follows it is not known yet.
    """
    kept = [windows[0]]
    for before, window, after in zip(windows, windows[1:], windows[2:], strict=False):
        low, high = sorted((before.daily_wh, after.daily_wh))
        daily = 100 * window.daily_wh
        alike = high * 100 <= ALIKE_PERCENT * low
        near = low * 10_000 <= EXCURSION_PERCENT * daily and daily <= EXCURSION_PERCENT * high
        if near or not alike:
            kept.append(window)
    return [*kept, windows[-1]]


def _apart(one: int, other: int) -> int:
    """The ratio of the larger to the smaller, in thousandths, up to 20."""
    low, high = (one, other) if one < other else (other, one)
    return min(high * 1000 // low, _FARTHEST) if low else _FARTHEST


def _mean(windows: Sequence[Window], multiplier_milli: int) -> int:
    used, days = sum(w.used_wh for w in windows), sum(w.days for w in windows)
    return _daily(used, days, multiplier_milli)


def _daily(used_wh: int, days: int, multiplier_milli: int) -> int:
    return used_wh * multiplier_milli // (1000 * days)


def _between(value: int, least: int, most: int) -> int:
    return min(max(value, least), max(most, least))
