"""How sure the intervals are that a bill rests on: counted by quality, kept with the bill."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from services.quantities.counting import count
from services.quantities.quality import Quality
from services.records.intervals import IntervalDays
from services.records.readings import IntervalDay

_NAMES = {15: "quarter hour", 30: "half hour", 60: "hour"}


@dataclass(frozen=True, slots=True)
class IntervalQuality:
    """How many intervals of `minutes` there are, and of those not simply measured, by quality."""

    minutes: int
    intervals: int
    unsure: Mapping[Quality, int]

    @classmethod
    def of_days(cls, days: Sequence[IntervalDay]) -> Self | None:
        """That of a series; None where every interval was measured, or nothing is said."""
        series = IntervalDays.of(days)
        counted: Counter[Quality] = Counter()
        for codes, intervals in series.qualities:
            each = intervals if len(codes) == 1 else 1
            for code in codes:
                counted[Quality(code)] += each
        unsure = {one: n for one, n in sorted(counted.items()) if not one.is_actual}
        if not unsure:
            return None
        return cls(series.minutes[0], len(series.wh), unsure)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """As `to_json` wrote it."""
        unsure = {Quality(int(code)): n for code, n in kept["unsure"].items()}
        return cls(kept["minutes"], kept["intervals"], dict(sorted(unsure.items())))

    def to_json(self) -> dict[str, Any]:
        """As it is kept with a bill: codes of ESPI."""
        unsure = {str(int(one)): n for one, n in self.unsure.items()}
        return {"minutes": self.minutes, "intervals": self.intervals, "unsure": unsure}

    @property
    def estimated(self) -> int:
        """How many were worked out, because none was measured."""
        return sum(n for one, n in self.unsure.items() if one.is_estimated)

    @property
    def other(self) -> int:
        """How many were set by hand, substituted, or are questionable."""
        return sum(self.unsure.values()) - self.estimated

    @property
    def sentence(self) -> str:
        """ "12 of 2,976 half hours are estimated, 3 edited by hand." """
        said = _said(self.unsure)
        (first, how), *others = said
        more = "".join(f", {n:,} {words}" for words, n in others)
        things = count(self.intervals, _NAMES[self.minutes])
        return f"{how:,} of {things} {'is' if how == 1 else 'are'} {first}{more}."


def interval_quality_of(usage: Mapping[str, Any] | None) -> IntervalQuality | None:
    """What was kept with a bill; None where all of its intervals were measured, or it has none."""
    kept = (usage or {}).get("interval_quality")
    return None if kept is None else IntervalQuality.from_json(kept)


def _said(unsure: Mapping[Quality, int]) -> list[tuple[str, int]]:
    """Words and counts: all estimates together, then each other quality."""
    estimated = sum(n for one, n in unsure.items() if one.is_estimated)
    return [
        *([("estimated", estimated)] if estimated else []),
        *((one.words, n) for one, n in unsure.items() if not one.is_estimated),
    ]
