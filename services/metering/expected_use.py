"""What a meter is expected to use a day: by its recent use, the same season last year, and peers.

All uses are whole Wh a day, after the multiplier. An envelope of several expectations, widened by
how much the meter's use changes from month to month, has fewer false alarms than any one of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Final, Literal

from services.metering.use_limits import Window
from services.records.use_limits import PeerMove, ValidationLimits

Source = Literal["recent", "last period", "last year", "last year, scaled", "similar meters"]

# Fewer windows than these are no settled past: only far too much is doubted then.
SETTLED_WINDOWS: Final = 4
RECENT_WINDOWS: Final = 3
# Like periods a year ago may end some days earlier or later.
SEASON_DAYS: Final = 20
_YEAR: Final = timedelta(days=365)
_BEFORE_SEASON_DAYS: Final = 110
# A year's growth beyond a factor of two says nothing of the season.
_LEAST_TREND, _MOST_TREND = 50, 200
# The room beside the changes seen so far, and Wh a day that matter to nobody.
_ROOM_PERCENT: Final = 130
_ROOM_HIGH_WH: Final = 1_000
_ROOM_LOW_WH: Final = 300
_SMALL_WH: Final = 100
# A window is an excursion at less than half or more than twice two neighbours that are alike.
EXCURSION: Final = 2
ALIKE_PERCENT: Final = 160
# The changes of a meter that needs no room for other meters' moves.
STEADY_PERCENT: Final = 150
# Peers that speak for a meter: those that moved most like it in the period before.
NEAREST_PEERS: Final = 9
LEAST_PEERS: Final = 5


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


def move_milli(before_wh: int, after_wh: int) -> int | None:
    """The change from one daily use to the next in thousandths; None where one of them is 0."""
    return after_wh * 1000 // before_wh if before_wh > 0 and after_wh > 0 else None


def expected_use(
    windows: Sequence[Window],
    *,
    read_on: date,
    days: int,
    multiplier_milli: int,
    peers: Iterable[PeerMove] = (),
    limits: ValidationLimits,
) -> ExpectedUse | None:
    """What is expected of a read on a local date, `days` after the last; None without settled past.

    `windows` are the past in stretches of about a month, the oldest first.
    """
    if len(windows) < SETTLED_WINDOWS or not any(window.used_wh for window in windows):
        return None
    average = _mean([window for window in windows if window.used_wh], multiplier_milli)
    windows = _without_excursions(windows)
    daily = daily_uses(windows, multiplier_milli)
    spread = _spread_percent(daily)
    found = _own_expectations(windows, daily, read_on, multiplier_milli)
    found += _peer_expectations(daily, peers, steady=spread <= STEADY_PERCENT)
    uses = [wh for _, wh in found]
    least_low = min(limits.widest_low_percent, limits.low_percent)
    high = _between(_ROOM_PERCENT * spread // 100, limits.high_percent, limits.widest_high_percent)
    if days < SEASON_DAYS:
        # Some days vary more than a month does.
        high = limits.widest_high_percent
    low = max(min(10_000 * 100 // (_ROOM_PERCENT * spread), limits.low_percent), least_low)
    return ExpectedUse(
        low_wh=max(min(uses) * low // 100 - _ROOM_LOW_WH, 0),
        # What a meter used on average while it was used is never high: an empty home is lived in.
        high_wh=max(max(uses) * high // 100 + _ROOM_HIGH_WH, average),
        expectations=tuple(found),
    )


def _own_expectations(
    windows: Sequence[Window], daily: Sequence[int], read_on: date, multiplier_milli: int
) -> list[tuple[Source, int]]:
    recent = _mean(windows[-RECENT_WINDOWS:], multiplier_milli)
    found: list[tuple[Source, int]] = [("recent", recent), ("last period", daily[-1])]
    a_year_ago = read_on - _YEAR
    near = [
        (abs((window.until - a_year_ago).days), -at)
        for at, window in enumerate(windows)
        if abs((window.until - a_year_ago).days) <= SEASON_DAYS
    ]
    if not near:
        return found
    season = daily[-min(near)[1]]
    found.append(("last year", season))
    before = [
        window for window in windows if 0 < (a_year_ago - window.until).days <= _BEFORE_SEASON_DAYS
    ]
    earlier = _mean(before, multiplier_milli) if before else 0
    if earlier:
        trend = _between(recent * 100 // earlier, _LEAST_TREND, _MOST_TREND)
        found.append(("last year, scaled", season * trend // 100))
    return found


def _without_excursions(windows: Sequence[Window]) -> list[Window]:
    """The past without single windows far off both neighbours: an empty month, a guest.

    The last one stays: what follows it is not known yet.
    """
    kept = [windows[0]]
    for before, window, after in zip(windows, windows[1:], windows[2:], strict=False):
        low, high = sorted((before.daily_wh, after.daily_wh))
        alike = high * 100 <= ALIKE_PERCENT * low
        if not alike or low <= EXCURSION * window.daily_wh <= EXCURSION**2 * high:
            kept.append(window)
    return [*kept, windows[-1]]


def _peer_expectations(
    daily: Sequence[int], peers: Iterable[PeerMove], *, steady: bool
) -> list[tuple[Source, int]]:
    """How the meters moved that moved most like this one before.

    It is the median of their moves, and the middle half for a meter that is not steady itself.
    """
    moved = move_milli(daily[-2], daily[-1]) or 1000
    nearest = sorted((_apart(peer.before_milli, moved), peer.now_milli) for peer in peers)
    now = sorted(milli for _, milli in nearest[:NEAREST_PEERS])
    if len(now) < LEAST_PEERS:
        return []
    quarter = len(now) // 4
    median = now[len(now) // 2]
    middle = (median,) if steady else (now[quarter], median, now[-1 - quarter])
    return [("similar meters", daily[-1] * milli // 1000) for milli in middle]


def _spread_percent(daily: Sequence[int]) -> int:
    """The largest change from one window to the next, or the second largest of six and more."""
    changes = sorted(_apart(a + _SMALL_WH, b + _SMALL_WH) // 10 for a, b in pairwise(daily))
    return changes[-1] if len(changes) < 6 else changes[-2]


def _apart(one: int, other: int) -> int:
    """The ratio of the larger to the smaller, in thousandths."""
    low, high = (one, other) if one < other else (other, one)
    return high * 1000 // max(low, 1)


def _mean(windows: Sequence[Window], multiplier_milli: int) -> int:
    used, days = sum(w.used_wh for w in windows), sum(w.days for w in windows)
    return _daily(used, days, multiplier_milli)


def _daily(used_wh: int, days: int, multiplier_milli: int) -> int:
    return used_wh * multiplier_milli // (1000 * days)


def _between(value: int, least: int, most: int) -> int:
    return min(max(value, least), max(most, least))
