"""Engine against oracle: what differs, and the smallest tariff that still shows it."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import asdict
from fractions import Fraction

from services.quantities.period import Period
from services.rating import BillingDeterminants, RatedBatch, RatedBill
from services.tariffs import InvalidTariff, Tariff, parse_tariff
from tests.oracle.arithmetic import Json, to_multiple
from tests.oracle.bill import Line

MONTH_PLACES = 4
MONEY_PLACES = 12


def difference(bill: RatedBill, lines: list[Line]) -> str | None:
    """What of a bill is not as the oracle has it: lines with quantities and amounts, the total."""
    found = [(line.code, line.amount_minor) for line in bill.lines]
    if found != [(line.code, line.amount_minor) for line in lines]:
        return _both(found, lines)
    if bill.total_minor != sum(line.amount_minor for line in lines):
        return f"the total {bill.total_minor} is not that of the lines"
    for shown, line in zip(bill.lines, lines, strict=True):
        expected = shown_quantities(line)
        if expected and Fraction(shown.quantity) not in expected:
            return f"{line.code}: engine has {shown.quantity} {shown.unit}, oracle {expected}"
    return None


def difference_in_batch(batch: RatedBatch, row: int, lines: list[Line]) -> str | None:
    """What of a row of columns is not as the oracle has it."""
    present = [line for line in batch.lines if line.present[row]]
    found = [(line.code, int(line.amount_minor[row])) for line in present]
    if found != [(line.code, line.amount_minor) for line in lines]:
        return _both(found, lines)
    if int(batch.total_minor[row]) != sum(line.amount_minor for line in lines):
        return f"the total {batch.total_minor[row]} is not that of the lines"
    for column, line in zip(present, lines, strict=True):
        quantity = Fraction(int(column.quantity[row]), column.scale)
        if line.quantity is not None and quantity != line.quantity:
            return f"{line.code}: the batch has {quantity} {column.unit}, oracle {line.quantity}"
    hidden = (line for line in batch.lines if not line.present[row])
    if any(line.amount_minor[row] for line in hidden):
        return "a line that is not there has an amount"
    return None


def _both(found: list[tuple[str, int]], lines: list[Line]) -> str:
    oracle = ", ".join(f"{line.code} {line.amount_minor}" for line in lines)
    return f"engine [{', '.join(f'{code} {amount}' for code, amount in found)}], oracle [{oracle}]"


def shown_quantities(line: Line) -> list[Fraction]:
    """A quantity as it may be printed: as it is, or cut where its decimals do not end."""
    if line.quantity is None:
        return []
    places = {"month": MONTH_PLACES, "day": MONTH_PLACES, "bill": MONTH_PLACES, "%": MONEY_PLACES}
    if line.unit not in places:
        return [line.quantity]
    step = Fraction(1, 10 ** places[line.unit])
    return [line.quantity, to_multiple(line.quantity, step, "half_up")]


def smallest(tariff: Json, still_differs: Callable[[Json], bool]) -> Json:
    """The tariff with everything left out that the difference does not need."""
    found = True
    while found:
        found = False
        for smaller in _one_less(tariff):
            if still_differs(smaller):
                tariff, found = smaller, True
                break
    return tariff


def differs(tariff: Json, check: Callable[[Json, Tariff], str | None]) -> bool:
    """Whether a tariff is valid and engine and oracle still differ on it."""
    try:
        return check(tariff, parse_tariff(tariff)) is not None
    except (InvalidTariff, KeyError, IndexError):
        return False


def _one_less(tariff: Json) -> Iterator[Json]:
    """The tariff without one of its charges or one of its fields."""
    for index in range(len(tariff["charges"])):
        smaller = deepcopy(dict(tariff))
        del smaller["charges"][index]
        yield smaller
    for place in _objects(tariff):
        for key in _at(tariff, place):
            smaller = deepcopy(dict(tariff))
            del _at(smaller, place)[key]
            yield smaller


def _objects(tariff: Json) -> Iterator[tuple[str | int, ...]]:
    yield ()
    for index, charge in enumerate(tariff["charges"]):
        yield ("charges", index)
        yield from (("charges", index, key) for key in charge if isinstance(charge[key], dict))
    if isinstance(tariff.get("rounding"), dict):
        yield ("rounding",)
        yield from (("rounding", k) for k, v in tariff["rounding"].items() if isinstance(v, dict))
    yield from ((key,) for key in ("months", "calendars") if key in tariff)


def _at(tariff: Json, place: tuple[str | int, ...]) -> dict[str, object]:
    found: object = tariff
    for step in place:
        found = found[step]  # type: ignore[index]
    assert isinstance(found, dict)
    return found


def as_text(tariff: Json, usage: BillingDeterminants, period: Period) -> str:
    """What repeats a failure: the tariff's JSON, the usage without its defaults, the days."""
    plain = asdict(BillingDeterminants(wh=0))
    used = {k: v for k, v in asdict(usage).items() if v != plain[k]}
    return f"{period.start} to {period.end}\n{json.dumps(tariff)}\n{used}"
