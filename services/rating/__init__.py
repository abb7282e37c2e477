"""The price of a period's energy: a tariff, the usage and the days become the lines of a bill."""

from services.rating.batch import BatchLine, RatedBatch, rate_each, rate_many
from services.rating.engine import rate, rate_usage
from services.rating.grouping import rate_together
from services.rating.interval_usage import Series, usage_from_series
from services.rating.net_metering import Bank, NetBill, netted, netted_alone
from services.rating.rated_bill import BillLine, RatedBill, SlabPart, UnableToPriceBill, Unit
from services.rating.time_axis import TimeAxis
from services.rating.usage import BillingDeterminants, UsageBatch
from services.rating.version_split import (
    LastBill,
    Part,
    demand_codes,
    rate_parts,
    split_by_days,
)

__all__ = [
    "Bank",
    "BatchLine",
    "BillLine",
    "BillingDeterminants",
    "LastBill",
    "NetBill",
    "Part",
    "RatedBatch",
    "RatedBill",
    "Series",
    "SlabPart",
    "TimeAxis",
    "UnableToPriceBill",
    "Unit",
    "UsageBatch",
    "demand_codes",
    "netted",
    "netted_alone",
    "rate",
    "rate_each",
    "rate_many",
    "rate_parts",
    "rate_together",
    "rate_usage",
    "split_by_days",
    "usage_from_series",
]
