"""What was used: for one bill as integers, for many bills as columns of integers.

Energy is whole Wh (VAh, varh), demand whole W (VA, var), money whole minor units. What was not
measured is None, and a charge that needs it cannot be priced.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any, Self

import numpy as np

from services.languages.sentence import sentence
from services.quantities.counting import count
from services.quantities.energy import kwh_value
from services.quantities.period import Period
from services.rating.exact_columns import Mask, Whole, whole_numbers
from services.rating.rated_bill import UnableToPriceBill
from services.tariffs import day_number

ByPeriod = Mapping[str, Mapping[str, int]]
ColumnsByPeriod = Mapping[str, Mapping[str, Whole]]

_MAY_BE_NEGATIVE = ("carried_minor", "charged_this_year_minor")
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class BillingDeterminants:
    """What one bill, or one part of a bill, is priced from.

    `by_period` holds Wh by calendar and period, `vah_by_period` VAh, `peak_w_by_period` W and
    `peak_va_by_period` VA; `wh_before` the Wh used before a local date within the period, where
    intervals tell it. `past_peaks_w` (`_va`, `_var`) are the peaks
    of earlier months, the last month first. `carried_minor` is what the last bill carried forward;
    `uncovered_days` are those of the year before the meter's first bill. Under net metering
    `netted_wh` is billed of what was imported, and `settled_wh` leaves the bank of kWh.
    Raises UnableToPriceBill for what no meter can have measured.
    """

    wh: int
    export_wh: int = 0
    vah: int | None = None
    varh: int | None = None
    by_period: ByPeriod = field(default_factory=dict)
    export_by_period: ByPeriod = field(default_factory=dict)
    vah_by_period: ByPeriod = field(default_factory=dict)
    wh_before: Mapping[date, int] = field(default_factory=dict)
    peak_w: int | None = None
    peak_va: int | None = None
    peak_var: int | None = None
    peak_w_by_period: ByPeriod = field(default_factory=dict)
    peak_va_by_period: ByPeriod = field(default_factory=dict)
    past_peaks_w: tuple[int, ...] = ()
    past_peaks_va: tuple[int, ...] = ()
    past_peaks_var: tuple[int, ...] = ()
    connected_w: int | None = None
    connected_va: int | None = None
    carried_minor: int = 0
    charged_this_year_minor: int | None = None
    uncovered_days: int = 0
    closes_year: bool = False
    netted_wh: int | None = None
    netted_by_period: ByPeriod = field(default_factory=dict)
    settled_wh: int = 0
    settled_by_period: ByPeriod = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            value = getattr(self, name)
            # Most are not there, or are one number that is as it should be.
            if value is None or (type(value) is int and value >= 0):
                continue
            for number in _numbers_in(value):
                _check(name, number)


_NUMBERS = tuple(f.name for f in fields(BillingDeterminants) if f.name != "closes_year")


@dataclass(frozen=True, slots=True, eq=False)
class UsageBatch:
    """The usage of N bills as columns of N; the names and units are those of BillingDeterminants.

    `start` and `end` number the local days of each bill's period, from 1970-01-01, the end
    excluded. Past peaks have N rows and a column a month, the last month first.
    Raises UnableToPriceBill for columns that do not go together or hold what is no usage.
    """

    start: Whole
    end: Whole
    wh: Whole
    export_wh: Whole | None = None
    vah: Whole | None = None
    varh: Whole | None = None
    by_period: ColumnsByPeriod = field(default_factory=dict)
    export_by_period: ColumnsByPeriod = field(default_factory=dict)
    vah_by_period: ColumnsByPeriod = field(default_factory=dict)
    wh_before: Mapping[date, Whole] = field(default_factory=dict)
    peak_w: Whole | None = None
    peak_va: Whole | None = None
    peak_var: Whole | None = None
    peak_w_by_period: ColumnsByPeriod = field(default_factory=dict)
    peak_va_by_period: ColumnsByPeriod = field(default_factory=dict)
    past_peaks_w: Whole | None = None
    past_peaks_va: Whole | None = None
    past_peaks_var: Whole | None = None
    connected_w: Whole | None = None
    connected_va: Whole | None = None
    carried_minor: Whole | None = None
    charged_this_year_minor: Whole | None = None
    uncovered_days: Whole | None = None
    closes_year: Mask | None = None
    netted_wh: Whole | None = None
    netted_by_period: ColumnsByPeriod = field(default_factory=dict)
    settled_wh: Whole | None = None
    settled_by_period: ColumnsByPeriod = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _COLUMNS:
            given = getattr(self, name)
            if given is not None and len(given):
                object.__setattr__(self, name, _each(given, _column(name, len(self.wh))))
        if not (self.end > self.start).all():
            raise UnableToPriceBill("A period must end after it starts.")

    def __len__(self) -> int:
        return len(self.wh)

    @classmethod
    def of_one(cls, usage: BillingDeterminants, period: Period) -> Self:
        """One bill as columns of one row."""
        own = {name: _each(getattr(usage, name), _alone) for name in _SHARED}
        for name in _PAST_PEAKS:
            months = getattr(usage, name)
            own[name] = _alone(months) if months else None
        return cls(
            start=np.array([day_number(period.start)]),
            end=np.array([day_number(period.end)]),
            closes_year=np.array([True]) if usage.closes_year else None,
            **own | {name: own[name] if getattr(usage, name) else None for name in _MOSTLY_NONE},
        )

    def rows(self, rows: slice) -> "UsageBatch":
        """Some of the bills."""
        return UsageBatch(
            **{name: _each(getattr(self, name), lambda column: column[rows]) for name in _COLUMNS},
        )

    def row(self, row: int) -> tuple[BillingDeterminants, Period]:
        """One of the bills as integers."""

        def alone(column: Whole) -> int:
            return int(column[row])

        own = {name: _each(getattr(self, name), alone) for name in _SHARED}
        own |= {name: own[name] or 0 for name in ("export_wh", *_MOSTLY_NONE)}
        for name in _PAST_PEAKS:
            past = getattr(self, name)
            own[name] = () if past is None else tuple(map(int, past[row]))
        closes = self.closes_year is not None and bool(self.closes_year[row])
        return BillingDeterminants(**own, closes_year=closes), self.period(row)

    def period(self, row: int) -> Period:
        """The local days of one of the bills."""
        return Period(_date(self.start[row]), _date(self.end[row]))


_COLUMNS = tuple(f.name for f in fields(UsageBatch))
_PAST_PEAKS = ("past_peaks_w", "past_peaks_va", "past_peaks_var")
# 0 of nearly every bill: a column is made only where there is something.
_MOSTLY_NONE = ("carried_minor", "uncovered_days", "settled_wh")
_APART = ("start", "end", *_PAST_PEAKS, "closes_year")
_SHARED = tuple(name for name in _COLUMNS if name not in _APART)


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value changed, within mappings too; None stays None."""
    if value is None:
        return None
    if isinstance(value, (dict, Mapping)):
        return {key: _each(inner, change) for key, inner in value.items()}
    return change(value)


def _numbers_in(value: Any) -> Iterator[Any]:
    """The numbers of a field: one, those of a tuple, those within mappings, or none."""
    # A mapping is a dict, but for what somebody else's type is: asking that is slow.
    if isinstance(value, (dict, tuple, Mapping)):
        for inner in value if isinstance(value, tuple) else value.values():
            yield from _numbers_in(inner)
    elif value is not None:
        yield value


def _alone(value: Any) -> Whole:
    return whole_numbers([value])


def _date(number: int) -> date:
    return date.fromordinal(_EPOCH + int(number))


def _check(name: str, number: object) -> None:
    if isinstance(number, bool) or not isinstance(number, int):
        raise UnableToPriceBill(f"Usage must be in whole numbers of Wh or W; {name} is not.")
    if number < 0 and name not in _MAY_BE_NEGATIVE:
        if name == "wh":
            used = kwh_value(number)
            raise UnableToPriceBill(sentence("A use of {kwh} kWh cannot be billed.", kwh=used))
        raise UnableToPriceBill(f"A negative {name} cannot be billed.")


def _column(name: str, bills: int) -> Callable[[Any], Any]:
    """What makes a checked column of a field's values."""
    signed = name in (*_MAY_BE_NEGATIVE, "start", "end")

    def checked(values: Any) -> Any:
        if name == "closes_year":
            return np.asarray(values, dtype=np.bool_)
        try:
            column = whole_numbers(values)
        except TypeError:
            raise UnableToPriceBill(f"The column {name} must hold whole numbers.") from None
        if len(column) != bills:
            raise UnableToPriceBill(f"The column {name} must have {count(bills, 'row')}.")
        if not signed and (column < 0).any():
            raise UnableToPriceBill(f"The column {name} must not be negative.")
        return column

    return checked
