"""What earlier bills leave to the next one: peaks, what was carried, the year's charges."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from services.rating import UnableToPriceBill
from services.records.bills import PastBill
from services.tariffs import DemandCharge, MinimumCharge, Tariff

_PEAKS: Final = {"kw": "peak_w", "kva": "peak_va", "kvar": "peak_var"}
# An average month has 30.4375 days: 487 sixteenths.
_SIXTEENTHS_IN_MONTH: Final = 487


@dataclass(frozen=True, slots=True)
class PastBills:
    """The bills of a meter that are not void, the last one first."""

    bills: Sequence[PastBill] = ()

    def peaks(self, tariff: Tariff, quantity: str, start: date) -> tuple[int, ...]:
        """The highest kw (kva, kvar) of each month before a local date, the last month first.

        In W (VA, var), as far back as a ratchet of the tariff looks; () without one.
        """
        demands = (c for c in tariff.charges if isinstance(c, DemandCharge))
        looks = [c.ratchet.months for c in demands if c.ratchet and c.quantity == quantity]
        months = max(looks, default=0)
        peaks = [0] * months
        for bill in self.bills:
            peak = (bill.usage or {}).get(_PEAKS[quantity])
            back = _months_back(bill.period_end, start)
            if peak is not None and back < months:
                peaks[back] = max(peaks[back], int(peak))
        return tuple(peaks)

    def carried_minor(self, start: date) -> int:
        """What the bill that ended here carried forward, in minor units."""
        last = self.bills[0] if self.bills else None
        if last is None or last.period_end != start:
            return 0
        # Its line takes off what is carried.
        return -last.charged.get("carried_forward", 0)

    def charged_minor(self, tariff: Tariff, start: date) -> int | None:
        """What the charges of a minimum per year came to this year; None without such a minimum.

        A bill belongs to the year in which it begins, and closes it when it ends in a later one.
        """
        minima = _of_minima_per_year(tariff)
        if not minima:
            return None
        if len(minima) > 1:
            raise UnableToPriceBill("Two minimums per year of different charges cannot be billed.")
        (codes,) = minima
        of_year = (bill for bill in self.bills if bill.period_start.year == start.year)
        return sum(bill.charged.get(code, 0) for bill in of_year for code in codes)

    def uncovered_days(self, tariff: Tariff, start: date) -> int:
        """The days of the year before the first bill, which owe nothing to a minimum per year.

        `start` is that of the bill in question; 0 without such a minimum.
        """
        if not _of_minima_per_year(tariff):
            return 0
        first = min([start, *(bill.period_start for bill in self.bills)])
        return max((first - date(start.year, 1, 1)).days, 0)


def _of_minima_per_year(tariff: Tariff) -> set[tuple[str, ...]]:
    """The codes of the charges that each minimum per year is of."""
    return {c.of for c in tariff.charges if isinstance(c, MinimumCharge) and c.per == "year"}


def _months_back(end: date, start: date) -> int:
    """How many months a bill's end lies back, to the nearest: no meter is read to the day."""
    sixteenths = (start - end).days * 16
    return (2 * sixteenths + _SIXTEENTHS_IN_MONTH) // (2 * _SIXTEENTHS_IN_MONTH)
