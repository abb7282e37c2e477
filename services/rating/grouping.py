"""Bills one by one as batches: those together whose meters measured the same things."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from services.quantities.period import Period
from services.rating.batch import rate_each
from services.rating.rated_bill import RatedBill, UnableToPriceBill
from services.rating.usage import BillingDeterminants, UsageBatch
from services.rating.version_split import Part, PartBatch, rate_parts_each
from services.tariffs import day_number

_NAMES = tuple(field.name for field in fields(BillingDeterminants))


def batches(
    bills: Sequence[tuple[BillingDeterminants, Period]],
) -> Iterator[tuple[list[int], UsageBatch]]:
    """Batches of the bills, each with where its rows are among the bills."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for index, (usage, _) in enumerate(bills):
        alike.setdefault(_all_measured(usage), []).append(index)
    for rows in alike.values():
        yield rows, _batch([bills[row] for row in rows])


def rate_together(
    bills: Sequence[tuple[Sequence[Part], Sequence[Period]]],
) -> list[RatedBill | None]:
    """The price of each bill, from its parts and the days of the bills that it is priced as.

    As `rate_usage` and `rate_parts` have them. None for those of a batch in which one cannot be
    priced: it is to be priced alone.
    """
    alike: dict[Hashable, list[int]] = defaultdict(list)
    for index, (parts, billed_as) in enumerate(bills):
        days = [part.period for part in parts] if len(parts) > 1 or billed_as else [None]
        measured = (_all_measured(part.usage) for part in parts)
        # By the object: a tariff is one of few, and dear to compare.
        which = (id(part.tariff) for part in parts)
        key = tuple(zip(which, days, measured, strict=True)), tuple(billed_as)
        alike[key].append(index)
    found: list[RatedBill | None] = [None] * len(bills)
    for rows in alike.values():
        _, billed_as = bills[rows[0]]
        rated = _rated([bills[row][0] for row in rows], billed_as)
        for row, one in zip(rows, rated, strict=True):
            found[row] = one
    return found


def _rated(
    bills: Sequence[Sequence[Part]], billed_as: Sequence[Period]
) -> Sequence[RatedBill | None]:
    parts = [
        PartBatch(each[0].tariff, each[0].period, _batch([(one.usage, one.period) for one in each]))
        for each in zip(*bills, strict=True)
    ]
    try:
        if len(parts) == 1 and not billed_as:
            return rate_each(tariff=parts[0].tariff, batch=parts[0].usage)
        whole = Period(parts[0].period.start, parts[-1].period.end)
        return rate_parts_each(parts=parts, whole=whole, billed_as=billed_as)
    except UnableToPriceBill:
        return [None] * len(bills)


def _all_measured(usage: BillingDeterminants) -> tuple[Any, ...]:
    return tuple(_measured(getattr(usage, name)) for name in _NAMES)


def _batch(bills: Sequence[tuple[BillingDeterminants, Period]]) -> UsageBatch:
    """Bills that are alike as columns."""
    columns = {name: _column([getattr(usage, name) for usage, _ in bills]) for name in _NAMES}
    return UsageBatch(
        start=_column([day_number(period.start) for _, period in bills]),
        end=_column([day_number(period.end) for _, period in bills]),
        **columns,
    )


def _measured(value: Any) -> Any:
    """What two values of a field must have in common to be in one column."""
    if value is None or type(value) is int:
        return value is None
    if isinstance(value, Mapping):
        return tuple(sorted((key, _measured(inner)) for key, inner in value.items()))
    return len(value) if isinstance(value, tuple) else False


def _column(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        return {key: _column([value[key] for value in values]) for key in first}
    return None if first is None or first == () else values
