"""Bills of the past priced again under another version of a tariff: who would pay more or less."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from services.quantities.energy import format_kwh
from services.quantities.money import Money
from services.quantities.spreadsheet import csv_file
from services.rating import BillingDeterminants, UnableToPriceBill, rate_many
from services.rating.grouping import batches
from services.records.tariffs import BilledUse, TariffVersion
from services.tariff_publishing.as_billed import AsBilled
from services.tariffs import Tariff

_MOST_BINS: Final = 24
_CSV_COLUMNS: Final = (
    "account_no", "meter_serial", "period_start", "period_end", "kwh", "currency", "before",
    "after", "change",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImpactedBill:
    """One bill as it was issued and as the version would have made it, in minor units."""

    bill: BilledUse
    after_minor: int

    @property
    def change_minor(self) -> int:
        """What the customer would pay more; below 0, less."""
        return self.after_minor - self.bill.total_minor


@dataclass(frozen=True, slots=True)
class Bin:
    """Bills whose change lies from `low_minor` up to, and not including, `high_minor`.

    Bills that would not change are in a bin of their own, from 0 to 0.
    """

    low_minor: int
    high_minor: int
    bills: int


@dataclass(slots=True)
class BillImpact:
    """The bills of a month under a version, and how many could not be priced so, by reason.

    `versions` are those that the bills were made with.
    """

    tariff: Tariff
    versions: Sequence[TariffVersion] = ()
    replayed: list[ImpactedBill] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    def add(self, bills: Sequence[BilledUse]) -> None:
        """Price bills again, from what they were priced from when they were made.

        Where the version needs more than that, they are counted in `left_out` under the reason.
        """
        uses = AsBilled(self.tariff, self.versions)
        known: list[tuple[BilledUse, BillingDeterminants]] = []
        for bill in bills:
            try:
                known.append((bill, uses.of(bill)))
            except UnableToPriceBill as error:
                self._leave_out(error, bills=1)
        totals: dict[int, int] = {}
        for rows, batch in batches([(usage, bill.period) for bill, usage in known]):
            try:
                rated = rate_many(tariff=self.tariff, batch=batch)
            except UnableToPriceBill as error:
                self._leave_out(error, bills=len(rows))
            else:
                totals |= zip(rows, rated.total_minor.tolist(), strict=True)
        self.replayed += [ImpactedBill(known[row][0], totals[row]) for row in sorted(totals)]

    def _leave_out(self, why: UnableToPriceBill, *, bills: int) -> None:
        self.left_out[str(why)] = self.left_out.get(str(why), 0) + bills

    @property
    def before_minor(self) -> int:
        """What the replayed bills came to."""
        return sum(one.bill.total_minor for one in self.replayed)

    @property
    def after_minor(self) -> int:
        """What they would have come to."""
        return sum(one.after_minor for one in self.replayed)

    @property
    def lose(self) -> int:
        """How many would pay more."""
        return sum(one.change_minor > 0 for one in self.replayed)

    @property
    def gain(self) -> int:
        """How many would pay less."""
        return sum(one.change_minor < 0 for one in self.replayed)

    def losers(self, most: int = 10) -> list[ImpactedBill]:
        """Those who would pay more, the largest change first."""
        found = [one for one in self.replayed if one.change_minor > 0]
        return sorted(found, key=lambda one: (-one.change_minor, one.bill.account_no))[:most]

    def gainers(self, most: int = 10) -> list[ImpactedBill]:
        """Those who would pay less, the largest change first."""
        found = [one for one in self.replayed if one.change_minor < 0]
        return sorted(found, key=lambda one: (one.change_minor, one.bill.account_no))[:most]

    def distribution(self) -> list[Bin]:
        """How many bills change by how much, in at most some two dozen bins of one round width."""
        changes = [one.change_minor for one in self.replayed]
        unchanged = changes.count(0)
        bins = [Bin(0, 0, unchanged)] if unchanged else []
        counts: dict[int, int] = {}
        width = _round_width(min(changes, default=0), max(changes, default=0))
        for change in filter(None, changes):
            counts[change // width] = counts.get(change // width, 0) + 1
        bins += [Bin(n * width, (n + 1) * width, counts[n]) for n in counts]
        return sorted(bins, key=lambda one: (one.low_minor, one.high_minor))

    def csv(self) -> bytes:
        """Every replayed bill as a line of CSV; amounts are decimals of the currency."""
        return csv_file(_CSV_COLUMNS, map(self._row, self.replayed))

    def _row(self, one: ImpactedBill) -> tuple[object, ...]:
        currency = self.tariff.currency
        amounts = (one.bill.total_minor, one.after_minor, one.change_minor)
        return (
            one.bill.account_no,
            one.bill.meter_serial,
            one.bill.period_start,
            one.bill.period_end,
            format_kwh(one.bill.consumption_wh),
            currency,
            *(Money(minor, currency) for minor in amounts),
        )


def _round_width(low: int, high: int) -> int:
    """1, 2 or 5 times a power of ten, so that few bins of it reach from `low` to `high`."""
    widths: Iterator[int] = (factor * 10**power for power in count() for factor in (1, 2, 5))
    return next(width for width in widths if (high - low) // width < _MOST_BINS - 2)
