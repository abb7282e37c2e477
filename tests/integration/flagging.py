"""Meters with a settled past, and readings of them that the rules doubt."""

from datetime import timedelta
from typing import Final

from services.readings.reading_to_bill import Submitted
from services.records.readings import Reading
from tests.integration.utility import Utility

MONTHS: Final = 7
BEGAN_KWH: Final = 10_000
MONTHLY_KWH: Final = 100


def flag(utility: Utility, serial: str, kwh: int, *, began_kwh: int = BEGAN_KWH) -> Reading:
    """A reading for review of a new meter that showed 100 kWh more each month, 10,600 at last."""
    found = _read(utility, serial, kwh, began_kwh)
    assert found.outcome == "needs_review"
    return found.reading


def add_neighbours(utility: Utility, number: int) -> None:
    """Meters that used as much as ever: beside them, what many others do is no common move."""
    for one in range(number):
        found = _read(utility, f"NEIGHBOUR-{one}", BEGAN_KWH + MONTHLY_KWH * MONTHS, BEGAN_KWH)
        assert found.outcome == "billed"


def _read(utility: Utility, serial: str, kwh: int, began_kwh: int) -> Submitted:
    first = utility.today - timedelta(days=30 * MONTHS)
    utility.add_meter(serial, opened_on=first, opening_kwh=began_kwh)
    for month in range(1, MONTHS):
        at = utility.now - timedelta(days=30 * (MONTHS - month))
        utility.submit(serial, began_kwh + MONTHLY_KWH * month, at=at)
    return utility.submit(serial, kwh)
