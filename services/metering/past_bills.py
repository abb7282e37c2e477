"""What earlier bills leave to the next one: peaks, what was carried, the year's charges."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, Self

from services.languages.sentence import sentence
from services.rating import NetBill, UnableToPriceBill
from services.records.bills import PastBill
from services.records.tariffs import TariffVersion
from services.tariffs import DemandCharge, MinimumCharge, Tariff

_PEAKS: Final = {"kw": "peak_w", "kva": "peak_va", "kvar": "peak_var"}
# An average month has 30.4375 days: 487 sixteenths.
_SIXTEENTHS_IN_MONTH: Final = 487


@dataclass(frozen=True, slots=True)
class PastBills:
    """The bills of a meter that are not void, the last one first.

    `opening_bank` are the Wh by period that were banked before the first of them.
    `tariff_id` is the tariff of the bill in question, which has had a minimum per year since
    `minimum_since`; None where that does not matter.
    """

    bills: Sequence[PastBill] = ()
    tariff_id: str | None = None
    minimum_since: date | None = None
    opening_bank: Mapping[str, int] = field(default_factory=dict)

    def under(self, versions: Sequence[TariffVersion], *, tariff_id: str, until: date) -> Self:
        """As a bill that ends `until` a local date looks back at them from this tariff."""
        since = _minimum_since(versions, until=until)
        return replace(self, tariff_id=tariff_id, minimum_since=since)

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

    def bank(self, start: date) -> dict[str, int]:
        """The Wh in each bank of net metering, as the last bill before a local date left them."""
        for bill in self.bills:
            kept = (bill.usage or {}).get("net")
            if kept and bill.period_end <= start:
                return NetBill.from_json(kept).closing()
        return dict(self.opening_bank)

    def charged_minor(self, tariff: Tariff, start: date) -> int | None:
        """What the charges of a minimum per year came to this year; None without such a minimum.

        A bill belongs to the year in which it begins, and closes it when it ends in a later one.
        """
        minima = _of_minima_per_year(tariff)
        if not minima:
            return None
        if len(minima) > 1:
            raise UnableToPriceBill(
                sentence("Two minimums per year of different charges cannot be billed.")
            )
        (codes,) = minima
        of_year = (bill for bill in self._owing_to_it() if bill.period_start.year == start.year)
        return sum(bill.charged.get(code, 0) for bill in of_year for code in codes)

    def uncovered_days(self, tariff: Tariff, start: date) -> int:
        """The days of the year that count for no minimum per year; 0 without such a minimum.

        They are those before the first bill under the tariff, and before the tariff had the
        minimum. `start` is that of the bill in question.
        """
        if not _of_minima_per_year(tariff):
            return 0
        first = min([start, *(bill.period_start for bill in self._owing_to_it())])
        first = min(max(first, self.minimum_since or first), date(start.year + 1, 1, 1))
        return max((first - date(start.year, 1, 1)).days, 0)

    def _owing_to_it(self) -> Iterator[PastBill]:
        """The bills that a minimum per year is of: those in a row under it, the last one first."""
        for bill in self.bills:
            ended_before = self.minimum_since is not None and bill.period_end <= self.minimum_since
            if self.tariff_id not in (None, bill.tariff_id) or ended_before:
                return
            yield bill


def _minimum_since(versions: Sequence[TariffVersion], *, until: date) -> date | None:
    """Since when the versions in force have all had a minimum per year."""
    since = None
    in_force = (version for version in versions if version.effective_from < until)
    for version in sorted(in_force, key=lambda v: v.effective_from, reverse=True):
        if not _of_minima_per_year(version.tariff):
            break
        since = version.effective_from
    return since


def _of_minima_per_year(tariff: Tariff) -> set[tuple[str, ...]]:
    """The codes of the charges that each minimum per year is of."""
    return {c.of for c in tariff.charges if isinstance(c, MinimumCharge) and c.per == "year"}


def _months_back(end: date, start: date) -> int:
    """How many months a bill's end lies back, to the nearest: no meter is read to the day."""
    sixteenths = (start - end).days * 16
    return (2 * sixteenths + _SIXTEENTHS_IN_MONTH) // (2 * _SIXTEENTHS_IN_MONTH)
