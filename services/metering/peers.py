"""How other meters' use moves: what a season or the weather does to all does not doubt one of them.

It grows with each read. Uses are whole Wh a day, after the multiplier.
"""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from services.metering.expected_use import move_milli
from services.records.use_limits import ClassUse, PeerMove

# Reads some days earlier speak of the same period; more of them on one day say nothing new.
SAME_PERIOD: Final = timedelta(days=10)
MOVES_A_DAY: Final = 60
MOST_MOVES: Final = 120


@dataclass
class PeerUses:
    """The latest moves of meters' use by the day of their read, and the latest uses themselves."""

    _moves: dict[date, list[PeerMove]] = field(default_factory=lambda: defaultdict(list))
    # Of meters with and without a known connected load: they cannot be compared.
    _latest: dict[str, tuple[bool, int]] = field(default_factory=dict)
    _sorted: dict[bool, list[int]] = field(default_factory=lambda: {True: [], False: []})

    def add_move(self, read_on: date, daily_wh: Sequence[int]) -> None:
        """Take in a meter's last uses a day, the newest last, which end with a read on that day.

        Doubted reads count too: what all of them show is no fault.
        """
        if len(daily_wh) < 2 or len(self._moves[read_on]) >= MOVES_A_DAY:
            return
        now = move_milli(daily_wh[-2], daily_wh[-1])
        before = move_milli(daily_wh[-3], daily_wh[-2]) if len(daily_wh) > 2 else 1000
        if now is not None:
            self._moves[read_on].append(PeerMove(before or 1000, now))

    def moves(self, read_on: date) -> list[PeerMove]:
        """How others moved into the period that ends on a local date."""
        found: list[PeerMove] = []
        for back in range(SAME_PERIOD.days + 1):
            found += self._moves.get(read_on - timedelta(days=back), ())
            if len(found) >= MOST_MOVES:
                break
        return found

    def class_use(self, *, load_w: int | None) -> ClassUse:
        """What meters use a day, in proportion to the connected load where it is known."""
        known = self._sorted[load_w is not None]
        if not known:
            return ClassUse(meters=0, low_wh=0, high_wh=0)
        low, high = (known[(len(known) - 1) * tenths // 10] for tenths in (1, 9))
        if load_w is not None:
            low, high = low * load_w // 1000, high * load_w // 1000
        return ClassUse(meters=len(known), low_wh=low, high_wh=high)

    def add_use(self, serial: str, daily_wh: int, *, load_w: int | None) -> None:
        """Take in the latest accepted use of a meter."""
        if serial in self._latest:
            by_load, known = self._latest[serial]
            del self._sorted[by_load][bisect_left(self._sorted[by_load], known)]
        of_load = daily_wh if load_w is None else daily_wh * 1000 // max(load_w, 1)
        self._latest[serial] = (load_w is not None, of_load)
        insort(self._sorted[load_w is not None], of_load)
