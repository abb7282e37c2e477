"""The kinds of tables that can be imported: their columns, and what those hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from services.importing.bank.lines import (
    LINE_COLUMNS,
    LINE_DATES,
    LINE_NUMBERS,
    LINE_OPTIONS,
)
from services.importing.by_kind.balance_rows import (
    BALANCE_COLUMNS,
    BALANCE_DATES,
    BALANCE_NUMBERS,
    BALANCE_OPTIONS,
    PAST_PAYMENT_COLUMNS,
    PAST_PAYMENT_DATES,
    PAST_PAYMENT_NUMBERS,
    PAST_PAYMENT_OPTIONS,
)
from services.importing.by_kind.grid_rows import (
    SUPPLY_COLUMNS,
    SUPPLY_DATES,
    SUPPLY_NUMBERS,
    SUPPLY_OPTIONS,
    TRANSFORMER_COLUMNS,
    TRANSFORMER_OPTIONS,
)
from services.importing.by_kind.interval_rows import (
    INTERVAL_COLUMNS,
    INTERVAL_DATES,
    INTERVAL_NUMBERS,
    INTERVAL_OPTIONS,
)
from services.importing.by_kind.place_rows import (
    AGREEMENT_COLUMNS,
    AGREEMENT_DATES,
    AGREEMENT_NUMBERS,
    AGREEMENT_OPTIONS,
    POINT_COLUMNS,
    POINT_DATES,
    POINT_NUMBERS,
    POINT_OPTIONS,
)
from services.importing.reads import (
    READING_COLUMNS,
    READING_DATES,
    READING_NUMBERS,
    READING_OPTIONS,
    REGISTER_PREFIX,
)
from services.importing.rows import (
    CUSTOMER_COLUMNS,
    CUSTOMER_DATES,
    CUSTOMER_NEEDED,
    CUSTOMER_OPTIONS,
    METER_COLUMNS,
    METER_DATES,
    METER_NUMBERS,
    METER_OPTIONS,
)

TableKind = Literal[
    "customers",
    "transformers",
    "service_points",
    "meters",
    "readings",
    "agreements",
    "balances",
    "bank_statements",
    "past_payments",
    "intervals",
    "supplies",
]


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a kind, and which hold numbers and dates; `prefix` begins further columns."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    prefix: str | None = None


COLUMNS_OF: Final[Mapping[TableKind, Columns]] = {
    "customers": Columns(
        CUSTOMER_NEEDED,
        # A column that a file has not is like one with empty cells.
        optional=(*CUSTOMER_COLUMNS[len(CUSTOMER_NEEDED) :], *CUSTOMER_OPTIONS),
        dates=CUSTOMER_DATES,
    ),
    "transformers": Columns(TRANSFORMER_COLUMNS, optional=TRANSFORMER_OPTIONS),
    "service_points": Columns(
        POINT_COLUMNS,
        optional=POINT_OPTIONS,
        numbers=POINT_NUMBERS,
        dates=POINT_DATES,
    ),
    "meters": Columns(
        METER_COLUMNS,
        optional=METER_OPTIONS,
        numbers=METER_NUMBERS,
        dates=METER_DATES,
    ),
    "readings": Columns(
        READING_COLUMNS,
        optional=READING_OPTIONS,
        numbers=READING_NUMBERS,
        dates=READING_DATES,
        prefix=REGISTER_PREFIX,
    ),
    "agreements": Columns(
        AGREEMENT_COLUMNS,
        optional=AGREEMENT_OPTIONS,
        numbers=AGREEMENT_NUMBERS,
        dates=AGREEMENT_DATES,
    ),
    "balances": Columns(
        BALANCE_COLUMNS,
        optional=BALANCE_OPTIONS,
        numbers=BALANCE_NUMBERS,
        dates=BALANCE_DATES,
    ),
    "bank_statements": Columns(
        LINE_COLUMNS,
        optional=LINE_OPTIONS,
        numbers=LINE_NUMBERS,
        dates=LINE_DATES,
    ),
    "past_payments": Columns(
        PAST_PAYMENT_COLUMNS,
        optional=PAST_PAYMENT_OPTIONS,
        numbers=PAST_PAYMENT_NUMBERS,
        dates=PAST_PAYMENT_DATES,
    ),
    "intervals": Columns(
        INTERVAL_COLUMNS,
        optional=INTERVAL_OPTIONS,
        numbers=INTERVAL_NUMBERS,
        dates=INTERVAL_DATES,
    ),
    "supplies": Columns(
        SUPPLY_COLUMNS,
        optional=SUPPLY_OPTIONS,
        numbers=SUPPLY_NUMBERS,
        dates=SUPPLY_DATES,
    ),
}
