"""Words of the exceptions queue: why readings wait, and the usual reasons for each decision."""

from typing import Final, Literal

Mode = Literal["accept", "correct", "estimate", "read_again", "reject"]

_CAUSES: Final = {
    "below_last_read": "Below the last reading",
    "above_next_read": "Above the next reading",
    "high_use": "High use",
    "low_use": "Low use",
    "zero_use": "No use",
    "first_reading": "Unusual first reading",
    "above_connected_load": "Above the connected load",
    "long_period": "Long period",
    "transposed_digits": "Swapped digits",
    "wrong_digit": "Wrong digit",
    "missed_decimal": "Decimal point",
    "power_of_ten": "Ten times, or a tenth",
    "exact_multiple": "Multiplier",
    "swapped_meters": "Swapped meters",
    "other_register": "Another register",
    "percent_change": "Change from the period before",
    "outlier": "Outlier",
    "interval_spike": "Spike in the intervals",
    "interval_sum": "Intervals and register differ",
    "register_sum": "Registers and total differ",
    "high_maximum": "High maximum demand",
    "unable_to_price": "Cannot be priced",
    "photo": "Differs from the photo",
    "ai": "Doubted by AI",
}
# The first is the most common one.
REASONS: Final[dict[Mode, tuple[str, ...]]] = {
    "accept": (
        "Seen on the photo of the meter",
        "Read again: the same value",
        "The customer explained the use",
        "Usual for the season",
    ),
    "correct": (
        "Mistyped: the photo shows the right value",
        "Mistyped: confirmed by whoever read it",
        "Read again",
    ),
    "estimate": (
        "The meter cannot be read in time",
        "The meter is faulty",
        "The value cannot be right",
    ),
    "read_again": (
        "The value does not fit the meter's past",
        "The photo cannot be read",
        "The customer disputes it",
    ),
    "reject": ("Another meter was read", "Read twice", "Sent by mistake"),
}


def cause_words(cause: str) -> str:
    """A rule's name, or "ai", as people call it."""
    return _CAUSES.get(cause, cause.replace("_", " ").capitalize())


def route_words(route: str) -> str:
    """A reading route as people call it."""
    return route or "On no route"
