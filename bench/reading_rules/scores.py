"""Judging the meters by the product's rules and by two plain ones, and counting what they find."""

import csv
import io
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from bench.reading_rules.faults import ReadMeter
from services.importing.by_kind.reading_check import CONSTANTS, DECIDED, ReadingCheck
from services.importing.reads import READING_COLUMNS

FIRST_YEAR: Final = 2023
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
LARGE_EFFECT: Final = 2
# A doubted reading by meter and month.
Doubted = set[tuple[str, int]]


@dataclass
class Score:
    """How many wrong and good readings were doubted and not; by kind of fault too."""

    found: int = 0
    missed: int = 0
    false: int = 0
    good: int = 0
    large_found: int = 0
    large_missed: int = 0
    # Of the good ones, those of a month in which nobody was there.
    vacant: int = 0
    vacant_false: int = 0
    by_kind: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    def add(self, meters: Sequence[ReadMeter], doubted: Doubted) -> None:
        """Count the readings of some meters, the opening ones aside."""
        for meter in meters:
            for month in range(1, len(meter.shown)):
                is_doubted = (meter.name, month) in doubted
                if meter.fault is not None and meter.is_wrong(month):
                    self._count(meter, month, is_doubted)
                else:
                    self.false += is_doubted
                    self.good += not is_doubted
                    self.vacant += month == meter.vacant
                    self.vacant_false += is_doubted and month == meter.vacant

    def _count(self, meter: ReadMeter, month: int, is_doubted: bool) -> None:
        kind = meter.fault[0] if meter.fault else ""
        self.by_kind[kind][0] += is_doubted
        self.by_kind[kind][1] += 1
        self.found += is_doubted
        self.missed += not is_doubted
        if meter.effect(month) > LARGE_EFFECT:
            self.large_found += is_doubted
            self.large_missed += not is_doubted

    def line(self) -> str:
        """Precision, recall and F1 over all faults and over large ones, and false reviews."""
        precision = self.found / max(self.found + self.false, 1)
        recall = self.found / max(self.found + self.missed, 1)
        large = self.large_found / max(self.large_found + self.large_missed, 1)
        return (
            f"precision {precision:.3f}  recall {recall:.3f}  F1 {_f1(precision, recall):.3f}   "
            f"over {LARGE_EFFECT}×: recall {large:.3f}  F1 {_f1(precision, large):.3f}   "
            f"false reviews {100 * self.false / max(self.false + self.good, 1):.2f} %"
        )


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / max(precision + recall, 1e-9)


def by_the_rules(meters: Sequence[ReadMeter], *, reviewed: bool) -> Doubted:
    """What `check-readings` doubts, with the queue worked or not."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([*READING_COLUMNS, *CONSTANTS, DECIDED])
    at = []
    for meter in meters:
        for month, shown in enumerate(meter.shown):
            right = "no" if meter.is_wrong(month) else "yes"
            more = [meter.dials, 1, meter.connected_kw, right]
            writer.writerow([meter.name, shown, f"{read_on(month)}T10:00", *more])
            at.append((meter.name, month))
    check = ReadingCheck(zone=ZoneInfo("Asia/Kolkata"), now=_NOW, reviewed=reviewed)
    checked = check.check(text.getvalue())
    return {
        key
        for key, one in zip(at, checked, strict=True)
        if one.validation.verdict == "needs_review"
    }


Limit = Callable[[list[float]], tuple[float, float]]


def three_sigma(past: list[float]) -> tuple[float, float]:
    """Within three standard deviations of the mean of the past."""
    mean, spread = statistics.fmean(past), statistics.pstdev(past)
    return mean - 3 * spread, mean + 3 * spread


def three_iqr(past: list[float]) -> tuple[float, float]:
    """Within three interquartile ranges of the median of the past."""
    low, median, high = statistics.quantiles(past, n=4)
    return median - 3 * (high - low), median + 3 * (high - low)


def by_limit(meters: Sequence[ReadMeter], limit: Limit, *, reviewed: bool) -> Doubted:
    """What a plain limit on the daily use of a meter's own past doubts, and what runs backwards."""
    return {key for meter in meters for key in _beyond(meter, limit, reviewed)}


def _beyond(meter: ReadMeter, limit: Limit, reviewed: bool) -> Iterator[tuple[str, int]]:
    past: list[float] = []
    last, capacity = 0, 10**meter.dials
    for month in range(1, len(meter.shown)):
        use = (meter.shown[month] - meter.shown[last]) % capacity
        daily = use / (read_on(month) - read_on(last)).days
        low, high = limit(past) if len(past) >= 4 else (0.0, float("inf"))
        doubtful = 2 * use > capacity or not low <= daily <= high
        if doubtful:
            yield meter.name, month
        if not doubtful or (reviewed and not meter.is_wrong(month)):
            past.append(daily)
            last = month


def read_on(month: int) -> date:
    """The day on which meters are read in a month, from 0."""
    return date(FIRST_YEAR + month // 12, month % 12 + 1, 1)
