"""Sums and peaks of tables of intervals by label, run by run."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from services.rating.exact_columns import Whole
from services.rating.time_axis import Labels

OUTSIDE: Final = -1  # the label of intervals that no bill has
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Neighbouring intervals that are the same to every labelling: where each run starts."""

    starts: Labels

    @classmethod
    def of(cls, labellings: Sequence[Labels]) -> "Runs":
        """The runs of T intervals, from labellings of T labels each."""
        changes = np.logical_or.reduce([np.diff(labels) != 0 for labels in labellings])
        return cls(np.concatenate([[0], np.flatnonzero(changes) + 1]))


@dataclass(eq=False)
class RunTable:
    """An (N, T) table reduced to its runs, of which there are few, once for all labellings."""

    table: Whole
    runs: Runs

    def sums(self, labels: Labels, count: int) -> Whole:
        """The sum of each label 0 to `count` − 1, (N, count); 0 for those no interval has."""
        return _by_label(np.add, self._sums, labels[self.runs.starts], count)

    def peaks(self, labels: Labels, count: int) -> Whole:
        """The largest value of each label, (N, count); 0 for those no interval has."""
        return _by_label(np.maximum, self._peaks, labels[self.runs.starts], count)

    @cached_property
    def _sums(self) -> Whole:
        largest = int(self.table.max(initial=0)) * self.table.shape[1]
        dtype = np.int64 if largest <= _LARGEST else object
        sums: Whole = np.add.reduceat(self.table, self.runs.starts, axis=1, dtype=dtype)
        return sums

    @cached_property
    def _peaks(self) -> Whole:
        peaks: Whole = np.maximum.reduceat(self.table, self.runs.starts, axis=1)
        return peaks.astype(np.int64)


def _by_label(operation: np.ufunc, runs: Whole, labels: Labels, count: int) -> Whole:
    """The runs of each label brought together and reduced to one number."""
    order = np.argsort(labels, kind="stable")
    found, firsts = np.unique(labels[order], return_index=True)
    reduced = operation.reduceat(runs[:, order], firsts, axis=1)
    result = np.zeros((len(runs), count), dtype=runs.dtype)
    inside = found != OUTSIDE
    result[:, found[inside]] = reduced[:, inside]
    return result
