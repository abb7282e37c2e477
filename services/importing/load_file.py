"""Load files: the kWh of each hour (or half or quarter) of a year or of some months, as CSV."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import accumulate, pairwise
from typing import Final

from services.importing.source import Source, UnreadableFile
from services.importing.table import Cells, read_table
from services.quantities.counting import count
from services.quantities.period import next_month
from services.quantities.written_numbers import DecimalSign

DEFAULT_YEAR: Final = 2018  # It begins on a Monday, as the typical years of models do.
YEARS: Final = range(1990, 2201)
MOST_KWH: Final = 10**9
_KWH: Final = "kwh"
_TIMESTAMP: Final = ("timestamp", "datetime", "time")
_LENGTHS: Final = (60, 30, 15)
_DECIMALS: Final = 12


@dataclass(frozen=True, slots=True)
class Load:
    """Wh of each interval of `minutes`, whole months of wall-clock time from `start` on.

    Clocks never change in it: each day has 24 hours.
    """

    start: datetime
    minutes: int
    wh: tuple[int, ...]


def read_load(
    source: Source, *, year: int | None = None, decimal: DecimalSign | None = None
) -> Load:
    """Read a load: one column `kwh` from 1 January of `year` by the hour, or with timestamps.

    A timestamp is the start of its interval in local standard time; an offset from UTC must be
    the same in all rows. Decimals beyond Wh are kept by rounding the running total. `decimal` is
    the decimal sign where the file does not show it. Raises UnreadableFile, with the row where
    there is one.
    """
    table = read_table(
        source, required=(_KWH,), optional=_TIMESTAMP, numbers=(_KWH,), decimal=decimal
    )
    named = [name for name in _TIMESTAMP if name in table.columns]
    kwh: list[Decimal] = []
    times: list[tuple[int, datetime]] = []
    for cells in table.rows():
        kwh.append(_kwh(cells))
        times += [(cells.row, _instant(cells, name)) for name in named[:1]]
    if table.problems:
        raise UnreadableFile(table.problems[0].message, row=table.problems[0].row)
    wh = _whole_wh(kwh)
    return _with_times(times, wh, year) if named else _hours_of_year(wh, year or DEFAULT_YEAR)


def _kwh(cells: Cells) -> Decimal:
    text = cells.values[_KWH]
    try:
        kwh = Decimal(text)
    except InvalidOperation:
        kwh = Decimal("nan")
    if not kwh.is_finite():
        shown = f"not {text[:20]!r}" if text else "and here is nothing"
        raise UnreadableFile(f"kwh must be a number such as 1.25, {shown}.", row=cells.row)
    if not 0 <= kwh < MOST_KWH:
        why = "cannot be negative" if kwh < 0 else "is larger than any load"
        raise UnreadableFile(f"kwh {why} ({text[:20]}).", row=cells.row)
    return kwh


def _instant(cells: Cells, column: str) -> datetime:
    text = cells.values[column]
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UnreadableFile(
            f"{column} must be written as 2018-01-31T23:00, not {text[:30]!r}.",
            row=cells.row,
        ) from None


def _whole_wh(kwh: Sequence[Decimal]) -> tuple[int, ...]:
    """Whole Wh whose running total is never more than half a Wh off."""
    scale = 10 ** max(3, min(_DECIMALS, max(-int(v.as_tuple().exponent) for v in kwh)))
    parts = accumulate(int((value * scale).to_integral_value()) for value in kwh)
    per_wh = scale // 1000
    reached = [0, *((2 * part + per_wh) // (2 * per_wh) for part in parts)]
    return tuple(b - a for a, b in pairwise(reached))


def _hours_of_year(wh: tuple[int, ...], year: int) -> Load:
    start = datetime(year, 1, 1, tzinfo=UTC)
    hours = (date(year + 1, 1, 1) - start.date()).days * 24
    if len(wh) != hours:
        raise UnreadableFile(
            f"{year} has {count(hours, 'hour')}, and the file has {count(len(wh), 'value')}. "
            "Say another year, or give a timestamp column."
        )
    return Load(start, 60, wh)


def _with_times(
    times: Sequence[tuple[int, datetime]], wh: tuple[int, ...], year: int | None
) -> Load:
    _, first = times[0]
    start = first.replace(tzinfo=UTC)
    if start.year not in (YEARS if year is None else (year,)):
        expected = f"in {year}" if year is not None else "in a year that bills are made for"
        raise UnreadableFile(f"The load begins in {start.year}, not {expected}.")
    if start != start.replace(day=1, hour=0, minute=0, second=0, microsecond=0):
        raise UnreadableFile(
            f"The load begins on {_shown(start)}: it must begin with the first hour of a month."
        )
    minutes = _minutes(times)
    for index, (row, at) in enumerate(times):
        _check_next(row, at, first, start + timedelta(minutes=minutes) * index)
    end = start + timedelta(minutes=minutes) * len(wh)
    if end != datetime(end.year, end.month, 1, tzinfo=UTC):
        after = next_month(end.date())
        raise UnreadableFile(f"The load ends on {_shown(end)}: it must go on up to {after}.")
    return Load(start, minutes, wh)


def _minutes(times: Sequence[tuple[int, datetime]]) -> int:
    """The most usual step, so that one gap at the start is said to be one."""
    steps = [(b - a) for (_, a), (_, b) in pairwise(_as_written(times))]
    minutes = next(
        (m for m in _LENGTHS if steps.count(timedelta(minutes=m)) * 2 > len(steps)), None
    )
    if minutes is None:
        raise UnreadableFile("The timestamps must be 60, 30 or 15 minutes apart.")
    return minutes


def _as_written(times: Sequence[tuple[int, datetime]]) -> list[tuple[int, datetime]]:
    return [(row, at.replace(tzinfo=UTC)) for row, at in times]


def _check_next(row: int, at: datetime, first: datetime, expected: datetime) -> None:
    if at.utcoffset() != first.utcoffset():
        raise UnreadableFile(
            f"the offset from UTC changes to {at.strftime('%z') or 'none'}. Give local "
            "standard time throughout.",
            row=row,
        )
    written = at.replace(tzinfo=UTC)
    if written > expected:
        raise UnreadableFile(f"the value of {_shown(expected)} is missing.", row=row)
    if written < expected:
        raise UnreadableFile(f"{_shown(written)} stands twice or late.", row=row)


def _shown(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")
