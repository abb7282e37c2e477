"""The price of a period's energy: a tariff, the usage and the days become the lines of a bill."""

from services.domain.rating.batch import BatchLine, RatedBatch, rate_many
from services.domain.rating.bill import BillLine, RatedBill, SlabPart, Unit
from services.domain.rating.engine import rate, rate_usage
from services.domain.rating.errors import UnableToPriceBill
from services.domain.rating.intervals import Series, usage_from_series
from services.domain.rating.measure import RegisterSpan, usage_from_registers, wh_of_registers
from services.domain.rating.parts import Part, rate_parts, split_by_days
from services.domain.rating.usage import Usage, UsageBatch
from services.domain.rating.wall_clock import TimeAxis

__all__ = [
    "BatchLine",
    "BillLine",
    "Part",
    "RatedBatch",
    "RatedBill",
    "RegisterSpan",
    "Series",
    "SlabPart",
    "TimeAxis",
    "UnableToPriceBill",
    "Unit",
    "Usage",
    "UsageBatch",
    "rate",
    "rate_many",
    "rate_parts",
    "rate_usage",
    "split_by_days",
    "usage_from_registers",
    "usage_from_series",
    "wh_of_registers",
]
