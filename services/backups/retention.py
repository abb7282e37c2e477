"""Which backups are kept: one of each of the last days, weeks and months that have one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

# A clock that was set right may have dated one a little after now.
_AHEAD: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Keep:
    """Of how many days, weeks and months, in the utility's zone, a backup is kept."""

    days: int
    weeks: int
    months: int


def to_drop(
    made: Iterable[datetime], keep: Keep, *, now: datetime, zone: ZoneInfo
) -> list[datetime]:
    """The instants (UTC) of backups that are not kept; of a day, week or month the last one stays.

    Days without a backup do not count, so that a machine that was off loses none. What is dated
    after `now` is left alone, and keeps nothing else from staying: the clock was wrong then.
    """
    past = sorted((at for at in made if at <= now + _AHEAD), reverse=True)
    kept: set[datetime] = set()
    periods: tuple[tuple[int, Callable[[datetime], object]], ...] = (
        (keep.days, lambda local: local.date()),
        (keep.weeks, lambda local: local.isocalendar()[:2]),
        (keep.months, lambda local: (local.year, local.month)),
    )
    for most, period_of in periods:
        newest: dict[object, datetime] = {}
        for at in past:
            newest.setdefault(period_of(at.astimezone(zone)), at)
        kept.update(list(newest.values())[:most])
    return [at for at in past if at not in kept]
