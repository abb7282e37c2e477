"""How other meters' use moves: what a season or the weather does to all does not doubt one of them.

It grows with each read. Uses are whole Wh a day, after the multiplier.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final

from services.records.use_limits import ClassUse, PeerUse

# Reads some days earlier speak of the same period.
SAME_PERIOD: Final = timedelta(days=10)
# So many speak for a meter; more of them say nothing new.
MOST_PEERS: Final = 60


@dataclass
class PeerUses:
    """The last uses of meters by the day of their read, and the latest uses themselves."""

    _uses: dict[date, dict[str, PeerUse]] = field(default_factory=lambda: defaultdict(dict))
    # By day, until a further read changes it.
    _near: dict[date, dict[str, PeerUse]] = field(default_factory=dict)
    # Of each meter, Wh a day, and for each kW of connected load where it is known; and all sorted.
    _latest: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    _sorted: list[int] = field(default_factory=list)
    _sorted_kw: list[int] = field(default_factory=list)

    def add_uses(self, serial: str, read_on: date, daily_wh: Sequence[int]) -> None:
        """Take in a meter's last uses a day, the newest last, which end with a read on that day.

        Until it is judged a read is not doubted: what all of a day show is no fault.
        """
        of_day = self._uses[read_on]
        if len(daily_wh) > 1 and (len(of_day) <= MOST_PEERS or serial in of_day):
            of_day[serial] = PeerUse(tuple(daily_wh))
            self._near.clear()

    def doubt(self, serial: str, read_on: date) -> None:
        """The read of that day waits for review."""
        of_day = self._uses.get(read_on, {})
        if serial in of_day:
            of_day[serial] = replace(of_day[serial], doubted=True)
            self._near.clear()

    def beside(self, serial: str, read_on: date) -> list[PeerUse]:
        """What others used up to a local date or some days before it, up to 60 of them."""
        if read_on not in self._near:
            self._near[read_on] = self._near_to(read_on)
        others = [use for name, use in self._near[read_on].items() if name != serial]
        return others[:MOST_PEERS]

    def _near_to(self, read_on: date) -> dict[str, PeerUse]:
        found: dict[str, PeerUse] = {}
        for back in range(SAME_PERIOD.days + 1):
            of_day = self._uses.get(read_on - timedelta(days=back), {})
            found = of_day | found if found else of_day
            if len(found) > MOST_PEERS:
                break
        return found

    def class_use(self) -> ClassUse:
        """What meters use a day, and for each kW of connected load where that is known."""
        return ClassUse(
            len(self._sorted),
            *_outer_tenths(self._sorted),
            len(self._sorted_kw),
            *_outer_tenths(self._sorted_kw),
        )

    def add_use(self, serial: str, daily_wh: int, *, load_w: int | None) -> None:
        """Take in the latest accepted use of a meter."""
        if serial in self._latest:
            for known, used in zip(self._known, self._latest[serial], strict=True):
                if used is not None:
                    del known[bisect_left(known, used)]
        self._latest[serial] = (daily_wh, None if load_w is None else daily_wh * 1000 // load_w)
        for known, used in zip(self._known, self._latest[serial], strict=True):
            if used is not None:
                insort(known, used)

    @property
    def _known(self) -> tuple[list[int], list[int]]:
        return self._sorted, self._sorted_kw


def _outer_tenths(known: Sequence[int]) -> tuple[int, int]:
    if not known:
        return 0, 0
    low, high = (known[(len(known) - 1) * tenths // 10] for tenths in (1, 9))
    return low, high
