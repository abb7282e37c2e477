"""How sure the intervals are that a bill rests on: counted by quality, kept with the bill."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from services.languages.sentence import N_, NN_, nsentence, sentence
from services.quantities.quality import Quality
from services.records.intervals import IntervalDays
from services.records.readings import IntervalDay

_NAMES = {
    15: NN_("{count} quarter hour", "{count} quarter hours"),
    30: NN_("{count} half hour", "{count} half hours"),
    60: NN_("{count} hour", "{count} hours"),
}


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
        (words, number), *others = _said(self.unsure)
        how: str = sentence(words)
        for other, times in others:
            how = sentence("{how}, {number} {other}", how=how, number=times, other=sentence(other))
        return nsentence(
            "{count} of {intervals} is {how}.",
            "{count} of {intervals} are {how}.",
            number,
            intervals=nsentence(*_NAMES[self.minutes], self.intervals),
            how=how,
        )


def interval_quality_of(usage: Mapping[str, Any] | None) -> IntervalQuality | None:
    """What was kept with a bill; None where all of its intervals were measured, or it has none."""
    kept = (usage or {}).get("interval_quality")
    return None if kept is None else IntervalQuality.from_json(kept)


def _said(unsure: Mapping[Quality, int]) -> list[tuple[str, int]]:
    """Words and counts: all estimates together, then each other quality."""
    estimated = sum(n for one, n in unsure.items() if one.is_estimated)
    return [
        *([(N_("estimated"), estimated)] if estimated else []),
        *((one.words, n) for one, n in unsure.items() if not one.is_estimated),
    ]
