"""Pricing again where another bill of the meter came between."""

PRICING_ATTEMPTS = 5


class MeterTooBusy(Exception):
    """Other bills of the meter kept coming between pricing and storing; nothing was stored."""
