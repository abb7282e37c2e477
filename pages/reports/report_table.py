"""The rows of a report as a table, and what its amounts come to."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import streamlit as st

from pages.languages.words import _, say
from pages.month_end.figures import table
from pages.reports.columns import column_name
from pages.shared.format import day, grouped, money
from services.languages.sentence import Sentence
from services.quantities.money import Money
from services.reports.definitions import Cell, Column, Report, Row

_RIGHT: Final = ("money", "kwh", "number")


def show_rows(report: Report, rows: Sequence[Row]) -> None:
    """The rows, without the columns that only files have."""
    shown = [(n, c) for n, c in enumerate(report.columns) if not c.only_in_files]
    st.dataframe(
        [{column_name(column): cell_text(row[n]) for n, column in shown} for row in rows],
        column_config={column_name(column): _configured(column) for _n, column in shown},
        hide_index=True,
        width="stretch",
    )


def show_totals(report: Report, rows: Sequence[Row]) -> None:
    """The sums of the amounts, by currency."""
    amounts = [(n, c) for n, c in enumerate(report.columns) if c.kind == "money"]
    sums: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        for n, _column in amounts:
            cell = row[n]
            if isinstance(cell, Money):
                sums[cell.currency][n] += cell.minor
    heads = (_("Total"), *(column_name(column) for _n, column in amounts))
    lines = [
        (currency, *(money(of[n], currency) for n, _column in amounts))
        for currency, of in sums.items()
    ]
    if lines:
        st.markdown(table(heads, lines))


def cell_text(cell: Cell) -> str:
    """What people read of a cell; names and what people typed stay as they are."""
    if isinstance(cell, Money):
        return money(cell.minor, cell.currency)
    if isinstance(cell, date):
        return day(cell)
    if isinstance(cell, Sentence):
        return say(cell)
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else grouped(str(cell))


def _configured(column: Column) -> Any:
    return st.column_config.TextColumn(
        column_name(column), alignment="right" if column.kind in _RIGHT else "left"
    )
