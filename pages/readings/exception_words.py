"""Words of the exceptions queue: why readings wait, and the usual reasons for each decision."""

from typing import Final, Literal

from pages.languages.words import Said, _
from services.languages.sentence import N_

Mode = Literal["accept", "correct", "estimate", "read_again", "reject"]

_CAUSES: Final = Said(
    {
        "below_last_read": N_("Below the last reading"),
        "above_next_read": N_("Above the next reading"),
        "high_use": N_("High use"),
        "low_use": N_("Low use"),
        "zero_use": N_("No use"),
        "first_reading": N_("Unusual first reading"),
        "above_connected_load": N_("Above the connected load"),
        "long_period": N_("Long period"),
        "transposed_digits": N_("Swapped digits"),
        "wrong_digit": N_("Wrong digit"),
        "missed_decimal": N_("Decimal point"),
        "power_of_ten": N_("Ten times, or a tenth"),
        "exact_multiple": N_("Multiplier"),
        "swapped_meters": N_("Swapped meters"),
        "other_register": N_("Another register"),
        "percent_change": N_("Change from the period before"),
        "outlier": N_("Outlier"),
        "interval_spike": N_("Spike in the intervals"),
        "interval_sum": N_("Intervals and register differ"),
        "register_sum": N_("Registers and total differ"),
        "high_maximum": N_("High maximum demand"),
        "unable_to_price": N_("Cannot be priced"),
        "photo": N_("Differs from the photo"),
        "ai": N_("Doubted by AI"),
    }
)
# The first is the most common one.
REASONS: Final[dict[Mode, tuple[str, ...]]] = {
    "accept": (
        N_("Seen on the photo of the meter"),
        N_("Read again: the same value"),
        N_("The customer explained the use"),
        N_("Usual for the season"),
    ),
    "correct": (
        N_("Mistyped: the photo shows the right value"),
        N_("Mistyped: confirmed by whoever read it"),
        N_("Read again"),
    ),
    "estimate": (
        N_("The meter cannot be read in time"),
        N_("The meter is faulty"),
        N_("The value cannot be right"),
    ),
    "read_again": (
        N_("The value does not fit the meter's past"),
        N_("The photo cannot be read"),
        N_("The customer disputes it"),
    ),
    "reject": (N_("Another meter was read"), N_("Read twice"), N_("Sent by mistake")),
}


def cause_words(cause: str) -> str:
    """A rule's name, or "ai", as people call it."""
    return _CAUSES[cause] if cause in _CAUSES else cause.replace("_", " ").capitalize()


def route_words(route: str) -> str:
    """A reading route as people call it."""
    return route or _("On no route")
