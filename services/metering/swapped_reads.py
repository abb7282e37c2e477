"""Readings of one day that fit each other's meters."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations
from typing import Final

from services.metering.digit_rules import Doubtful, fits_the_other, swapped_meters
from services.metering.outcomes import RuleOutcome

# On a day on which so many are doubtful something else is wrong.
MOST_A_DAY: Final = 100


@dataclass
class SwappedReads:
    """Doubtful readings of several meters, each under a number of the caller's."""

    _of_day: dict[date, list[tuple[int, str, Doubtful]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def add(self, number: int, serial: str, read_on: date, doubtful: Doubtful) -> None:
        """Take in a doubtful reading of a local date."""
        if len(self._of_day[read_on]) < MOST_A_DAY:
            self._of_day[read_on].append((number, serial, doubtful))

    def outcomes(self) -> Iterator[tuple[int, RuleOutcome]]:
        """For each reading that fits another's meter what is to be said of it, by its number."""
        for doubtful in self._of_day.values():
            for (one, serial, read), (two, other_serial, other) in combinations(doubtful, 2):
                if serial != other_serial and fits_the_other(read, other):
                    yield one, swapped_meters(other_serial, other.register_wh)
                    yield two, swapped_meters(serial, read.register_wh)
