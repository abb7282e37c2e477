"""The rows of a report as a table, and what its amounts come to."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import streamlit as st

from pages.month_end.figures import table
from pages.shared.format import day, grouped, money
from services.quantities.money import MINUS, Money
from services.reports.definitions import Cell, Column, Report, Row

_RIGHT: Final = ("money", "kwh", "number")
_WORDS: Final = {
    "kwh": "kWh",
    "days 1 30": "1 to 30 days",
    "days 31 60": "31 to 60 days",
    "days 61 90": "61 to 90 days",
    "days over 90": "Over 90 days",
}


def show_rows(report: Report, rows: Sequence[Row]) -> None:
    """The rows, without the columns that only files have."""
    shown = [(n, c) for n, c in enumerate(report.columns) if not c.only_in_files]
    st.dataframe(
        [{column_name(column): _text(row[n]) for n, column in shown} for row in rows],
        column_config={column_name(column): _configured(column) for _, column in shown},
        hide_index=True,
        width="stretch",
    )


def show_totals(report: Report, rows: Sequence[Row]) -> None:
    """The sums of the amounts, by currency."""
    amounts = [(n, c) for n, c in enumerate(report.columns) if c.kind == "money"]
    sums: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        for n, _ in amounts:
            cell = row[n]
            if isinstance(cell, Money):
                sums[cell.currency][n] += cell.minor
    heads = ("Total", *(column_name(column) for _, column in amounts))
    lines = [
        (currency, *(money(of[n], currency) for n, _ in amounts)) for currency, of in sums.items()
    ]
    if lines:
        st.markdown(table(heads, lines))


def column_name(column: Column) -> str:
    """What people read of a column: "period_start" is Period start."""
    name = column.name.replace("_", " ")
    return _WORDS.get(name, f"{name[0].upper()}{name[1:]}")


def _configured(column: Column) -> Any:
    return st.column_config.TextColumn(
        column_name(column), alignment="right" if column.kind in _RIGHT else "left"
    )


def _text(cell: Cell) -> str:
    if isinstance(cell, Money):
        return money(cell.minor, cell.currency)
    if isinstance(cell, date):
        return day(cell)
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else grouped(str(cell)).replace("-", MINUS)
