"""The demo's grid: which transformer feeds whom, and what went into each transformer by month."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from services.demo.bills import MeterBills
from services.demo.premises import Premises
from services.demo.profile import spread
from services.quantities.period import next_month
from services.records.bills import NewBill

# Between two rounds of the readers: a month that ended so long ago was read at every meter.
_ROUND = timedelta(days=31)
# Of a thousand Wh that go in, so many are lost in wires and iron.
_LEAST_LOSS, _LOSS_RANGE = 40, 31
# What somebody takes past the meters of one transformer, in its latest months.
_TAPPED = "T-3"
_TAPPED_MONTHS = 4
_LEAST_TAPPED, _TAPPED_RANGE = 150, 41


@dataclass(frozen=True, slots=True)
class Transformer:
    """A transformer of the demo and the streets that it feeds."""

    code: str
    name: str
    feeder_code: str
    feeder_name: str
    rated_kva: int
    streets: tuple[str, ...]


TRANSFORMERS = (
    Transformer("T-1", "Canal Road", "F-1", "Lake side", 63, ("Canal Road", "Lake View Road")),
    Transformer("T-2", "Temple Lane", "F-1", "Lake side", 63, ("Temple Lane", "Palm Avenue")),
    Transformer(
        "T-3", "School Road", "F-2", "Market side", 63, ("School Road", "Mill Lane", "Hill Road")
    ),
    Transformer(
        "T-4",
        "Market Street",
        "F-2",
        "Market side",
        100,
        ("Market Street", "Station Road", "River Street"),
    ),
)


class Supply(NamedTuple):
    """Wh that went into a transformer over the local days from `start` up to `end`."""

    transformer_code: str
    start: date
    end: date
    energy_wh: int


def transformer_of(premises: Premises) -> Transformer:
    """The transformer in whose streets the premises lie."""
    return next(t for t in TRANSFORMERS if any(s in premises.name for s in t.streets))


def supplies(billed: Sequence[MeterBills], *, as_of: date) -> Iterator[Supply]:
    """By transformer and month, from the first that all bills cover to the last that was read.

    What was billed, shared by days, and what was lost on the way to the meters.
    """
    months = list(_months(billed, as_of))
    for transformer in TRANSFORMERS:
        fed = [m for m in billed if transformer_of(m.premises) == transformer]
        bills = [bill for meter in fed for bill in _live(meter)]
        for place, (start, end) in enumerate(months):
            used = sum(_share(bill, start, end) for bill in bills)
            lost = _loss_permille(transformer, start, tapped=place >= len(months) - _TAPPED_MONTHS)
            yield Supply(transformer.code, start, end, used * 1000 // (1000 - lost))


def _months(billed: Sequence[MeterBills], as_of: date) -> Iterator[tuple[date, date]]:
    start = next_month(max(m.bills[0].opening.read_on for m in billed if m.bills))
    while (end := next_month(start)) <= as_of - _ROUND:
        yield start, end
        start = end


def _live(meter: MeterBills) -> tuple[NewBill, ...]:
    return (*meter.bills[:-1], meter.reissue) if meter.reissue else meter.bills


def _share(bill: NewBill, start: date, end: date) -> int:
    """Wh of a bill that fall on the local days from `start` up to `end`."""
    opened, closed = bill.opening.read_on, bill.closing.read_on
    if closed <= start or end <= opened:
        return 0
    days = (min(closed, end) - max(opened, start)).days
    return bill.consumption_wh * days // (closed - opened).days


def _loss_permille(transformer: Transformer, month: date, *, tapped: bool) -> int:
    permille = _LEAST_LOSS + spread(f"lost at {transformer.code} in {month}", _LOSS_RANGE)
    if tapped and transformer.code == _TAPPED:
        permille += _LEAST_TAPPED + spread(f"taken in {month}", _TAPPED_RANGE)
    return permille
