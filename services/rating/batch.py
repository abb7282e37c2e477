"""Many bills at once: rated in chunks of columns, with amounts and quantities to report from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import numpy as np

from services.rating.engine import bill_lines, rate_usage
from services.rating.exact_columns import ZERO, Column, Mask, Whole, stacked, total
from services.rating.lines import PricedLine, by_bill
from services.rating.pricing_context import PricingContext
from services.rating.rated_bill import RatedBill, Unit
from services.rating.rounding import AFTER_CHARGES, BEFORE_CHARGES
from services.rating.usage import UsageBatch
from services.tariffs import Tariff

# Rows at a time: few enough for the columns of a charge to stay in the processor's cache.
CHUNK: Final = 32_768


@dataclass(frozen=True, slots=True, eq=False)
class BatchLine:
    """One line of N bills; `quantity` / `scale` is in `unit`, amounts are minor units.

    `rate` is None where it differs between bills. Bills without the line have `present` false and
    an amount of 0. Description and rate as printed, which may name days, are in `bill(i)`.
    """

    code: str
    description: str
    tax: bool
    unit: Unit
    rate: str | None
    quantity: Whole
    scale: int
    amount_minor: Whole
    present: Mask


@dataclass(frozen=True, slots=True, eq=False)
class RatedBatch:
    """N priced bills of one tariff: their lines and sums, in minor units of `currency`."""

    tariff: Tariff
    usage: UsageBatch
    lines: tuple[BatchLine, ...]

    def __len__(self) -> int:
        return len(self.usage)

    @property
    def subtotal_minor(self) -> Whole:
        """The sums of the lines that are not taxes."""
        return self._sum(line for line in self.lines if not line.tax)

    @property
    def tax_minor(self) -> Whole:
        """The sums of the lines that are taxes."""
        return self._sum(line for line in self.lines if line.tax)

    @property
    def total_minor(self) -> Whole:
        """The sums of all lines."""
        return self._sum(self.lines)

    def bill(self, row: int) -> RatedBill:
        """One of the bills with all its texts: priced again, by the same engine, alone."""
        usage, period = self.usage.row(row)
        return rate_usage(tariff=self.tariff, usage=usage, period=period)

    def _sum(self, lines: Iterable[BatchLine]) -> Whole:
        # As columns, which cannot overflow.
        summed = total([Column.of(line.amount_minor) for line in lines])
        return np.broadcast_to(summed.num, len(self))


def rate_many(*, tariff: Tariff, batch: UsageBatch) -> RatedBatch:
    """Price N bills of one tariff, some thousands at a time. Raises UnableToPriceBill."""
    starts = range(0, len(batch), CHUNK)
    chunks = [batch.rows(slice(start, start + CHUNK)) for start in starts]
    priced = [bill_lines(PricingContext(tariff, chunk)) for chunk in chunks]
    sizes = [len(chunk) for chunk in chunks]
    lines = tuple(_joined(line, sizes) for line in _aligned(tariff, priced))
    return RatedBatch(tariff=tariff, usage=batch, lines=lines)


def _aligned(
    tariff: Tariff, chunks: Sequence[Sequence[PricedLine]]
) -> Iterator[Sequence[PricedLine | None]]:
    """The same line of all chunks, line by line; None in a chunk where no bill has its charge."""
    codes = (*BEFORE_CHARGES, *(charge.code for charge in tariff.charges), *AFTER_CHARGES)
    for code in dict.fromkeys(codes):
        yield from zip_longest(
            *([line for line in chunk if line.columns.code == code] for chunk in chunks)
        )


def _joined(chunks: Sequence[PricedLine | None], sizes: Sequence[int]) -> BatchLine:
    """The same line of all chunks as one."""
    bills = sum(sizes)
    first = next(chunk.columns for chunk in chunks if chunk)
    quantity = stacked([c.columns.quantity if c else ZERO for c in chunks], sizes)
    amount = stacked([Column.of(c.amount_minor) if c else ZERO for c in chunks], sizes)
    shown = [
        np.broadcast_to(chunk.shown if chunk else np.False_, size)
        for chunk, size in zip(chunks, sizes, strict=True)
    ]
    return BatchLine(
        code=first.code,
        description=first.description,
        tax=first.tax,
        unit=first.unit,
        rate=first.rate,
        quantity=np.broadcast_to(quantity.num, bills),
        scale=quantity.den,
        amount_minor=np.broadcast_to(amount.num, bills),
        present=np.concatenate(shown),
    )


def rate_each(*, tariff: Tariff, batch: UsageBatch) -> list[RatedBill]:
    """Price N bills of one tariff at once, each with all its texts. Raises UnableToPriceBill."""
    context = PricingContext(tariff, batch)
    printed = [line.printed(len(batch), places=context.places) for line in bill_lines(context)]
    return [
        RatedBill(currency=tariff.currency, lines=lines) for lines in by_bill(printed, len(batch))
    ]
