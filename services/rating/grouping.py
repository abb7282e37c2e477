"""Bills one by one as batches: those together whose meters measured the same things."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from services.quantities.period import Period
from services.rating.usage import BillingDeterminants, UsageBatch
from services.tariffs import day_number

_NAMES = tuple(field.name for field in fields(BillingDeterminants))


def batches(
    bills: Sequence[tuple[BillingDeterminants, Period]],
) -> Iterator[tuple[list[int], UsageBatch]]:
    """Batches of the bills, each with where its rows are among the bills."""
    alike: dict[tuple[Any, ...], list[int]] = {}
    for index, (usage, _) in enumerate(bills):
        measured = tuple(_measured(getattr(usage, name)) for name in _NAMES)
        alike.setdefault(measured, []).append(index)
    for rows in alike.values():
        yield rows, _batch([bills[row] for row in rows])


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
    if isinstance(value, Mapping):
        return tuple(sorted((key, _measured(inner)) for key, inner in value.items()))
    return len(value) if isinstance(value, tuple) else value is None


def _column(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        return {key: _column([value[key] for value in values]) for key in first}
    return None if first is None or first == () else values
