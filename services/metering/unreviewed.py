"""Readings that wait for review, as evidence: a flag that nobody looks at must not freeze a meter.

Registers are Wh as the meter shows them, before the multiplier.
"""

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from typing import Final

from services.metering.register_arithmetic import capacity_wh, is_a_fall
from services.records.readings import ReadPoint

# Daily uses that agree differ by no more than this.
AGREEING_PERCENT: Final = 160


def with_confirmed(
    history: Sequence[ReadPoint], waiting: Sequence[ReadPoint], dials: int
) -> list[ReadPoint]:
    """The accepted reads, and of those that wait the ones that a later accepted read confirms.

    It confirms one that lies between two accepted reads and parts their use evenly.
    """
    reads = sorted(history, key=lambda read: read.read_on)
    if not waiting:
        return reads
    found = [*reads]
    for before, after in pairwise(reads):
        between = [one for one in waiting if before.read_on < one.read_on < after.read_on]
        between.sort(key=lambda read: read.read_on)
        if between and _agree([before, *between, after], dials):
            found += between
    return sorted(found, key=lambda read: read.read_on)


def that_stood_still(
    read_on: date, last_read: ReadPoint, waiting: Sequence[ReadPoint]
) -> list[ReadPoint]:
    """Of the readings that wait, those since the last accepted one that show the same value.

    Whoever reviews them, no use is hidden in them: they say how long a meter stood still.
    """
    still = [
        one
        for one in waiting
        if last_read.read_on < one.read_on < read_on and one.register_wh == last_read.register_wh
    ]
    return sorted(still, key=lambda one: one.read_on)


def confirmed_by_waiting(
    read: ReadPoint,
    last_read: ReadPoint,
    waiting: Sequence[ReadPoint],
    *,
    least: int,
    dials: int,
) -> ReadPoint | None:
    """The reading that waits and shows the same daily use up to it as this one from it.

    `least` so many of them must agree with each other; None where they do not.
    """
    since = [one for one in waiting if last_read.read_on < one.read_on < read.read_on]
    since.sort(key=lambda one: one.read_on)
    if len(since) < least:
        return None
    reads = [last_read, *since, read]
    if any(_fell(a, b, dials) for a, b in pairwise(reads)):
        return None
    return since[-1] if _agree(reads[-least - 2 :], dials) else None


def _agree(reads: Sequence[ReadPoint], dials: int) -> bool:
    """Whether the daily uses between reads are alike, and none is 0."""
    if any(_fell(a, b, dials) or a.read_on == b.read_on for a, b in pairwise(reads)):
        return False
    capacity = capacity_wh(dials)
    daily = [
        (b.register_wh - a.register_wh) % capacity // (b.read_on - a.read_on).days
        for a, b in pairwise(reads)
    ]
    return min(daily) > 0 and max(daily) * 100 <= AGREEING_PERCENT * min(daily)


def _fell(opening: ReadPoint, closing: ReadPoint, dials: int) -> bool:
    return is_a_fall(opening_wh=opening.register_wh, closing_wh=closing.register_wh, dials=dials)
